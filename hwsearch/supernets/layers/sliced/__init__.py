"""Layers that take the place of plain torch layers in a declared network and use the first channels only."""
