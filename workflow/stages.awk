# What `snakemake --quiet host reason` prints, as one line for each stage when its last job is done. From an error on,
# and where it warns or has nothing to do, its own lines are shown.

/^Job stats:/ { planned = 1; next }
planned && NF == 2 && $2 ~ /^[0-9]+$/ {
    if ($1 == "total") planned = 0
    jobs[$1] = $2
    next
}
/^Job [0-9]+: / {
    number = $2
    sub(/:$/, "", number)
    text = $0
    sub(/^Job [0-9]+: /, "", text)
    message[number] = text
    next
}
/^Finished jobid: / {
    stage = $5
    sub(/\)$/, "", stage)
    if (!(stage in first)) first[stage] = message[$3]
    if (++done[stage] == jobs[stage] && stage != "all")
        printf "%-20s %s%s\n", stage, first[stage], (jobs[stage] > 1 ? ", and " jobs[stage] - 1 " more" : "")
    fflush()
    next
}
/[Ee]rror|[Ee]xception|WARNING|Traceback|^Nothing to be done/ { shown = shown || !/WARNING|Nothing/; print; fflush(); next }
shown { print; fflush() }
