# What each job asks for: MB of memory and minutes, from the size of its input and, where the config says more, from what
# is to be done. Measured is the memory and time on one core (benchmarks/results/, and the benchmark files of runs of
# demo.yaml, yeast.yaml and yeast_atac.yaml); asked for is about twice that, and as much again with each attempt.
#
# Input that other jobs have yet to make has no size: Snakemake then plans with <TBD> and asks again before the job starts.

# A stage's imports, a file system that is slow, compiling for the first time: of which every job may need some
START_MINUTES = 10

# A process with torch and its models holds 0.5 to 1.0 GB; what the libraries of CUDA add was not measured
NETWORK_MB = 3000

# 1,000,000 regions take 380 MB (benchmarks/results/input.md), and about 20 MB as a file
TABLE_MB, TABLE_ROWS = 40, 60_000  # in memory, and rows, for each MB of the file

# Multiplications that one core makes in a second where a network explains a pair of sequence and reference, forward and
# back; activations count, too, as moving one takes as long as 150 multiplications. benchmarks/results/attribution.md:
# BPNet 3.0e10, Basset 1.3e10, the paper's network 3.0e10. Training takes two to three times as long for each region
# (8.6e9, 6.1e9 and 5.8e9, benchmarks/results/input.md), a prediction a third.
MULTIPLICATIONS = 1e10
ACTIVATION = 150
TRAINING, PREDICTION = 3, 1 / 3
REVEAL_CANCEL = 6.5  # as long as with Rescale

# Bytes that a training step keeps for each activation, twice what it took for BPNet on 64 regions of 2,114 bp
STEP_BYTES = 32


def size_mb(input, *names):
    """MB of a job's input files, of all or of those with some names."""
    sizes = dict(zip(input, input.size_files_mb))
    if not names:
        return sum(sizes.values())
    named = [input[name] for name in names]
    files = [[entry] if isinstance(entry, str) else entry for entry in named]
    return sum(sizes[file] for each in files for file in each)


def genome_mb(input):
    """MB of the genome in memory, a byte for each base: that of a compressed file is about four times as large."""
    return size_mb(input, "genome") * (4 if GENOME.endswith((".gz", ".bgz")) else 1)


def memory_of_regions(wildcards, input, attempt):
    """450 MB for 20,000 peaks in a genome of 200 Mb, which is mapped; signal is read piece by piece."""
    return math.ceil(attempt * (1000 + genome_mb(input) + 0.1 * size_mb(input)))


def memory_of_session(wildcards, input, attempt):
    """The genome is mapped where it has to be packed; nothing else is large."""
    return math.ceil(attempt * (500 + genome_mb(input)))


def growing(start, each, *names):
    """A number that grows with the size of the input.

    Parameters
    ----------
    start : number
        MB or minutes of a job without input.
    each : number
        MB or minutes for each MB of input.
    *names : str
        Which input is meant; none: all.
    """

    def needed(wildcards, input, attempt):
        return math.ceil(attempt * (start + each * size_mb(input, *names)))

    return needed


def growing_with_pairs(start, each, name, files):
    """The same where folders are held against each other, with so many `files` each among the input with this name:
    `each` is for 100 times 100 folders.
    """

    def needed(wildcards, input, attempt):
        folders = len(input[name]) / files
        return math.ceil(attempt * (start + each * (folders / 100) ** 2))

    return needed


def network():
    """Filters and multiplications of the model for each base: [(share of the positions, filters, their inputs)]."""
    model = config["model"]
    kind = model["type"]
    if kind == "basset":
        inputs = [4, *model["filters"]]
        layers, share = [], 1.0
        for channels, filters, kernel, pool in zip(
            inputs, model["filters"], model["kernels"], model["pools"]
        ):
            layers.append((share, filters, channels * kernel))
            share /= pool
        return layers
    filters, kernel = model.get("filters", 64), model.get("kernel", 21)
    first = (1.0, filters, 4 * kernel)
    if kind == "deepbind":
        return [first]
    if kind == "paper":
        return [first, (1.0, filters, filters * kernel)]
    # A network of the user's is taken for BPNet
    residuals = [(1.0, filters, 3 * filters)] * model.get("layers", 8)
    if HEAD != "profile":
        return [first, *residuals]
    channels = len(
        OUTPUTS
    )  # a profile and counts of each target: as many as two strands of profiles
    return [
        first,
        *residuals,
        (1.0, channels, filters * model.get("profile_kernel", 75)),
    ]


def multiplications():
    """What one prediction takes for each base, activations counted as multiplications."""
    each = sum(
        share * filters * (inputs + ACTIVATION) for share, filters, inputs in network()
    )
    return each * config["model"]["replicates"] * (1 + config["model"]["both_strands"])


def minutes(passes, wildcards, attempt):
    """Twice the time of so many passes of a sequence through one model and back."""
    seconds = passes * int(wildcards.length) * multiplications() / MULTIPLICATIONS
    return math.ceil(attempt * (START_MINUTES + 2 * seconds / 60))


def explained_regions(input):
    """Regions of a target that are explained, by all jobs together."""
    return min(
        config["attribution"]["max_regions"], size_mb(input, "regions") * TABLE_ROWS
    )


def passes_of_method(method):
    """Passes forward and back that a method takes for each region and model."""
    settings = config["attribution"][method]
    references, steps = settings["n_references"], settings.get("steps", 1)
    references = settings["max_references"] if references == "auto" else references
    steps = settings["max_steps"] if steps == "auto" else steps
    times = REVEAL_CANCEL if settings.get("rule") == "reveal-cancel" else 1
    return (1 + references) * steps * times


def memory_of_network(wildcards, input, attempt):
    """Explaining and predicting work through blocks of regions: only the table grows, and the genome is mapped."""
    table = TABLE_MB * size_mb(input, "regions")
    return math.ceil(attempt * (NETWORK_MB + table + genome_mb(input)))


def memory_of_training(wildcards, input, attempt):
    """With it the activations of one step."""
    activations = sum(share * filters for share, filters, _ in network())
    bases = config["training"]["batch_size"] * (
        int(wildcards.length) + 2 * config["training"]["jitter"]
    )
    step = STEP_BYTES * activations * bases * config["model"]["replicates"] / 2**20
    return memory_of_network(wildcards, input, attempt) + math.ceil(attempt * step)


def minutes_of_training(wildcards, input, attempt):
    """All epochs over all regions; one that is stopped goes on where it was."""
    regions = size_mb(input, "regions") * TABLE_ROWS
    return minutes(
        TRAINING * regions * config["training"]["epochs"], wildcards, attempt
    )


def minutes_of_evaluation(wildcards, input, attempt):
    """Predictions of all regions by each model that did not see them, and baselines: 0.5 us a base and target."""
    regions = size_mb(input, "regions") * TABLE_ROWS
    baselines = regions * int(wildcards.length) * len(TARGETS) * 5e-7 / 60
    predictions = PREDICTION * regions * len(input.models)
    return minutes(predictions, wildcards, attempt) + math.ceil(
        attempt * (20 + 2 * baselines)
    )


def minutes_of_attribution(wildcards, input, attempt):
    """Regions times references, points of paths and models."""
    passes = passes_of_method(wildcards.method) * len(input.models)
    if config["attribution"]["model_std"] and not wildcards.part:
        passes *= 2
    return minutes(passes * explained_regions(input) / SHARDS, wildcards, attempt)


def minutes_of_mutagenesis(wildcards, input, attempt):
    """Three predictions for each base of some regions; of all of them one, to choose."""
    some = config["attribution"]["mutagenesis"]["max_regions"]
    predictions = 3 * int(wildcards.length) * some + explained_regions(input)
    return minutes(PREDICTION * predictions * len(input.models), wildcards, attempt)


def minutes_of_judgement(wildcards, input, attempt):
    """Every base mutated; curves of 15 shares, 3 references, 2 kinds of them, deletion and insertion, for each method
    and 4 other orders; each method again, by each model and by halves of the references.
    """
    mutated = 3 * int(wildcards.length) * config["faithfulness"]["mutagenesis"]
    curves = 15 * 3 * 2 * 2 * (len(METHODS) + 4)
    again = 2 * sum(map(passes_of_method, METHODS))
    regions = config["faithfulness"]["max_regions"] * len(OUTPUTS) * len(input.models)
    return minutes(
        (PREDICTION * (mutated + curves) + again) * regions, wildcards, attempt
    )


def minutes_of_prediction(wildcards, input, attempt):
    """One prediction of each region by each model."""
    regions = size_mb(input, "regions") * TABLE_ROWS
    return minutes(PREDICTION * regions * len(input.models), wildcards, attempt)


def memory_of_motifs(wildcards, input, attempt):
    """Of the scores only windows are held (518 MB for 1,500 MB); seqlets have 1 MB each, not measured beyond 2,000."""
    scores = size_mb(input, "scores")
    return math.ceil(
        attempt * (500 + 0.3 * scores + config["motifs"]["max_seqlets"] / 2)
    )


def minutes_of_motifs(wildcards, input, attempt):
    """30 s for 2,000 seqlets of 100,000 regions; seqlets are compared with each other."""
    pairs = (config["motifs"]["max_seqlets"] / 2000) ** 2
    return math.ceil(
        attempt * (START_MINUTES + 2 * pairs + size_mb(input, "scores") / 500)
    )
