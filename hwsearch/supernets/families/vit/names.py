"""Names of tensors in ViT files of torchvision, timm and Hugging Face."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

#: names of torchvision and of timm, and ours; queries, keys and values that lie in one tensor are parted afterwards
SPELLINGS = (
    (r"^(class_token|cls_token)$", "vit.embeddings.cls_token"),
    (r"^(encoder\.pos_embedding|pos_embed)$", "vit.embeddings.position_embeddings"),
    (r"^(conv_proj|patch_embed\.proj)\.", "vit.embeddings.patch_embeddings.projection."),
    (r"^(encoder\.layers\.encoder_layer_|blocks\.)(\d+)\.", r"vit.encoder.layer.\2."),
    (r"\.(ln_1|norm1)\.", ".layernorm_before."),
    (r"\.(ln_2|norm2)\.", ".layernorm_after."),
    (r"\.(self_attention\.in_proj_|attn\.qkv\.)", ".attention.attention.qkv."),
    (r"\.(self_attention\.out_proj|attn\.proj)\.", ".attention.output.dense."),
    (r"\.mlp\.(0|linear_1|fc1)\.", ".intermediate.dense."),
    (r"\.mlp\.(3|linear_2|fc2)\.", ".output.dense."),
    (r"^(encoder\.ln|norm)\.", "vit.layernorm."),
    (r"^(heads\.head|head)\.", "classifier."),
)


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors of torchvision's or timm's files to Hugging Face's names; an unused pooler is left out.

    Parameters
    ----------
    state : mapping
        Name → tensor in the file.

    Returns
    -------
    dict
        Name in this network → tensor; joint projections are split into query, key and value.
    """
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.startswith("vit.pooler."):
            continue
        if not name.startswith("vit."):
            for pattern, own in SPELLINGS:
                name = re.sub(pattern, own, name)
        if ".qkv." in name:
            parts = zip(("query", "key", "value"), value.chunk(3), strict=True)
            renamed |= {name.replace(".qkv.", f".{part}."): tensor for part, tensor in parts}
        else:
            renamed[name] = value
    return renamed
