#!/usr/bin/env bash
# The pictures of the tutorial: pages of the demo's report, as headless Chromium shows them.
#   docs/screenshots.sh results/demo/200bp
set -euo pipefail
run=$(realpath "$1")
images=$(dirname "$(realpath "$0")")/images

picture() { # name, height, page of the report
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=5000 \
        --window-size=1280,"$2" --screenshot="$images/$1.png" "file://${run// /%20}/report.html#$3" 2> /dev/null
    # A palette of 256 colours makes the files half as large
    python3 -c 'import sys; from PIL import Image; file = sys.argv[1]
Image.open(file).convert("RGB").quantize(256).save(file, optimize=True)' "$images/$1.png"
}

picture report_overview 1100 ""
picture report_motif 710 motif/m_1
picture report_region 720 region/sim9_637400_637600/637501-637554
