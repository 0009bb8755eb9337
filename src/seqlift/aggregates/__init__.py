"""Average contributions of the bases around a set of sites, without motif discovery.

Sites come from any BED file: hits of a motif scan, transcription start sites, variants. Their scores are laid
one above the other, each oriented by its strand, and averaged. Where the factor binds its motif, the average shows it
as a profile along the positions, as a logo of the mean contribution of each base, and as a heat map that shows whether
a few sites carry it or all. It is the aggregate plot of genomics (deepTools' reference-point profiles and the averaged
contributions of BPNet, doi 10.1038/s41588-021-00782-6) with base resolution.
"""
