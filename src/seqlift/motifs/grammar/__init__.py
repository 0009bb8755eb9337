"""The grammar of motifs: pairs that occur together, their order, orientation and spacing."""
