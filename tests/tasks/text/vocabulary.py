"""A small vocabulary, with accents, punctuation and scripts that are split differently."""

from __future__ import annotations

WORDS = """[PAD] [unused0] [UNK] [CLS] [SEP] [MASK] ! " $ ' ( ) , - . / : ? [ ] ` a b c d e i n o s t u x the of
a-b film is un ##aff ##able ##s ##ing ##a ##b ##e ##ed naive cafe istanbul strass ##e ##en ss ß 中 国 ᄒ ##ᅡ ##ᆫ σ ##σ
##ς ο ##ο ##δ good bad not great it was does t don we ##' 1 ##0 ##1 fi ﬁ ##lm sep cls — … ’ “ €"""
VOCABULARY = WORDS.split()
