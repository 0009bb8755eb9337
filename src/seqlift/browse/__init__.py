"""The whole genome of a run in a web browser: tracks, letters, peaks and hits, served on this machine alone.

`report.html` shows chosen regions and opens anywhere; this shows every base that was scored, beside its neighbours, by
igv.js over the bigWigs themselves. igv.js is not part of this package: npm installs it where `seqlift.browse.page`
looks for it.
"""
