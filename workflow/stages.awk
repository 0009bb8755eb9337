# What `snakemake --quiet host reason` prints, as one line for each stage when its last job is done. Its own lines are
# shown from an error on, for warnings, and where it ends without a plan.

/^Job stats:/ { planned = listed = 1; next }
listed && NF == 2 && $2 ~ /^[0-9]+$/ {
    if ($1 == "total") listed = 0
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
/[Ee]rror|[Ee]xception|Traceback/ { shown = 1 }
shown || /WARNING/ { print; fflush(); next }
!planned { before = before $0 "\n" }
END { if (!planned && !shown) printf "%s", before }
