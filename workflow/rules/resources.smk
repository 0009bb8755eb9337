# What each job requests: MB of memory and minutes. Both are a base and an amount for each MB of input, about twice what
# was measured on one core (benchmarks/results/, and the benchmark files of runs of demo.yaml, yeast.yaml and
# yeast_atac.yaml), and grow with each attempt. What a network takes depends on much more: its minutes are generous, and
# a large model or a queue with a short limit has its own in a profile (docs/how_to/cluster.md).
#
# Input that other jobs have yet to make has no size: Snakemake then plans with <TBD>, and computes it before the job starts.

# Imports, a slow file system, compiling for the first time: any job may need this
START_MINUTES = 10

# A process with torch and its models takes 0.5 to 1.0 GB; what the libraries of CUDA add was not measured
NETWORK_MB = 3000

# 1,000,000 regions take 380 MB (benchmarks/results/input.md), and about 20 MB as a file
TABLE = 40

# A byte in memory for each base: a compressed genome is about a fourth of that
BASES = 4 if GENOME.endswith((".gz", ".bgz")) else 1


def growing(base, each=0, **named):
    """A number that grows with the size of the input, and with each attempt.

    Parameters
    ----------
    base : number
        MB or minutes of a job without input.
    each : number
        MB or minutes for each MB of input.
    **named : number
        The same for each MB of the input with this name.
    """

    def needed(wildcards, input, attempt):
        sizes = dict(zip(input, input.size_files_mb))
        size = each * sum(sizes.values())
        for name, factor in named.items():
            files = [input[name]] if isinstance(input[name], str) else input[name]
            size += factor * sum(sizes[file] for file in files)
        return math.ceil(attempt * (base + size))

    return needed
