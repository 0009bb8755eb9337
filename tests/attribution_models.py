"""Models written the ways people write them: MODELS are explained exactly, REFUSED must be refused by name.

Both are shared by the tests and by benchmarks/universality.py, so this module needs nothing but PyTorch.
"""

import ctypes

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

N, R, LENGTH, CHANNELS = 3, 4, 24, 6


class Net(nn.Module):
    """A convolution, something in the middle, and a dense head for two targets."""

    def __init__(self, middle, *, module=None, flat=True):
        super().__init__()
        self.conv = nn.Conv1d(4, CHANNELS, 5, padding=2)
        self.module = module
        self.middle = middle
        self.head = nn.LazyLinear(2)
        self.flat = flat

    def forward(self, x):
        h = self.middle(self.conv(x)) if self.module is None else self.middle(self.conv(x), self.module)
        return self.head(h.flatten(1) if self.flat else h)


def elementwise(function):
    return lambda: Net(function)


def in_the_middle(module, call=lambda h, module: module(h)):
    return lambda: Net(call, module=module())


def changed_in_place(h):
    y = torch.sigmoid(h)
    h.relu_()
    h += y
    h[:, 0] = 2 * y[:, 1]
    h[:, 1:3].mul_(y[:, 1:3])
    return F.elu(h, inplace=True)


def arithmetic_in_place(h):
    h /= 3
    h *= 2
    h.div_(torch.full((LENGTH,), 0.5)).sub_(1)
    return h.exp() / h.shape[1]


def reused(h, module):
    return module(module(h) - 0.5)


class Siamese(nn.Module):
    """Both strands through one trunk, stacked along the batch."""

    def __init__(self, combine):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv1d(4, CHANNELS, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(3), nn.Flatten())
        self.head = nn.Linear(3 * CHANNELS, 2)
        self.combine = combine

    def forward(self, x):
        forward, reverse = self.head(torch.tanh(self.trunk(torch.cat([x, x.flip(1, 2)])))).chunk(2)
        return self.combine(forward, reverse)


class TwoDimensional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, CHANNELS, (4, 5))
        self.pool = nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1))
        self.head = nn.LazyLinear(2)

    def forward(self, x):
        return self.head(self.pool(F.relu(self.conv(x.unsqueeze(1)))).flatten(1))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv1d(4, 8, 4, stride=2, padding=1)
        self.deep = nn.Conv1d(8, 8, 4, stride=2, padding=1)
        self.up = nn.ConvTranspose1d(8, 8, 4, stride=2, padding=1)
        self.out = nn.Conv1d(16, 2, 3)

    def forward(self, x):
        a = F.gelu(self.down(x))
        b = F.relu(self.up(F.silu(self.deep(a))))
        b = F.interpolate(F.avg_pool1d(b, 2), scale_factor=2.0, mode="linear")
        return self.out(torch.cat([a, b], 1)).mean(-1)


class Transformer(nn.Module):
    def __init__(self, batch_first=True, norm_first=False, layer=True):
        super().__init__()
        self.batch_first, self.layer = batch_first, layer
        self.embed = nn.Conv1d(4, 8, 3, padding=1)
        if layer:
            self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first, norm_first=norm_first)
        else:
            self.block = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        h = self.embed(x).permute(0, 2, 1)
        h = h if self.batch_first else h.transpose(0, 1)
        h = self.block(h) if self.layer else self.block(h, h, h)[0]
        return self.head(torch.tanh(h).mean(1 if self.batch_first else 0))


class Attention(nn.Module):
    def __init__(self, masked):
        super().__init__()
        self.qkv = nn.Conv1d(4, 12, 3, padding=1)
        self.head = nn.Linear(4, 2)
        self.masked = masked

    def forward(self, x):
        q, k, v = self.qkv(x).transpose(1, 2).chunk(3, -1)
        return self.head(F.scaled_dot_product_attention(q, k, v, is_causal=self.masked).sum(1))


class StraightThrough(torch.autograd.Function):
    """A custom function whose backward is not the gradient of its forward."""

    @staticmethod
    def forward(ctx, x):
        return torch.tanh(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class ProfileHead(nn.Module):
    """Logits of a profile, weighted by their softmax."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, CHANNELS, 5)
        self.profile = nn.Conv1d(CHANNELS, 1, 3)

    def forward(self, x):
        logits = self.profile(F.relu(self.conv(x))).flatten(1)
        logits = logits - logits.mean(-1, keepdim=True)
        return (logits * F.softmax(logits, dim=-1)).sum(-1, keepdim=True).expand(-1, 2)


def squeeze_and_excite(h):
    return h * torch.sigmoid(h.mean(-1, keepdim=True))


def attention_pool(h):
    return (h * F.softmax(h.mean(1, keepdim=True), dim=-1)).sum(-1)


def detached(h):
    with torch.no_grad():
        scale = h.abs().mean((1, 2), keepdim=True)
    return h / (scale.detach() + 1)


class Recurrent(nn.Module):
    """The positions read one after the other."""

    def __init__(self, kind, **options):
        super().__init__()
        self.layer = kind(CHANNELS, 5, batch_first=True, **options)

    def forward(self, h):
        return self.layer(h.mT)[0]


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(CHANNELS, 5)

    def forward(self, h):
        state = None
        for t in range(h.shape[-1]):
            state = self.cell(h[..., t], state)
        return state[0]


def negative_set_to_zero(h):
    h = h.clone()
    h[h < 0] = 0
    return h


def view_changed_in_place(h):
    h.view(len(h), -1)[:, ::2].relu_()
    return h


MODELS = {
    # activations
    "nn.ReLU": in_the_middle(nn.ReLU),
    "nn.ReLU in place": in_the_middle(lambda: nn.ReLU(inplace=True)),
    "F.relu": elementwise(F.relu),
    "torch.relu": elementwise(torch.relu),
    "Tensor.relu": elementwise(lambda h: h.relu()),
    "Tensor.relu_": elementwise(lambda h: h.relu_()),
    "F.relu in place": elementwise(lambda h: F.relu(h, inplace=True)),
    "ReLU reused": in_the_middle(nn.ReLU, reused),
    "ReLU subclassed": in_the_middle(type("Mine", (nn.ReLU,), {})),
    "changed in place": elementwise(changed_in_place),
    "called by keyword": elementwise(lambda h: torch.sigmoid(input=F.max_pool1d(input=F.relu(input=h), kernel_size=2))),
    "relu6": elementwise(F.relu6),
    "leaky_relu": elementwise(lambda h: F.leaky_relu(h, 0.2)),
    "prelu": in_the_middle(lambda: nn.PReLU(CHANNELS)),
    "rrelu": in_the_middle(nn.RReLU),
    "gelu": elementwise(F.gelu),
    "gelu tanh": in_the_middle(lambda: nn.GELU("tanh")),
    "silu": elementwise(F.silu),
    "elu": elementwise(F.elu),
    "selu": elementwise(F.selu),
    "celu": elementwise(F.celu),
    "softplus": elementwise(F.softplus),
    "mish": elementwise(F.mish),
    "hardswish": elementwise(F.hardswish),
    "hardsigmoid": elementwise(F.hardsigmoid),
    "tanh": elementwise(torch.tanh),
    "sigmoid": elementwise(torch.sigmoid),
    "logsigmoid": elementwise(F.logsigmoid),
    "exp": elementwise(torch.exp),
    "log": elementwise(lambda h: torch.log(h.exp() + 1)),
    "sqrt": elementwise(lambda h: torch.sqrt(h.square() + 0.01)),
    "abs": elementwise(torch.abs),
    "abs operator": elementwise(abs),
    "square": elementwise(lambda h: h**2),
    "cube": elementwise(lambda h: h.pow(3)),
    "power -2": elementwise(lambda h: (h.square() + 1) ** -2),
    "power 0.7": elementwise(lambda h: F.softplus(h) ** 0.7),
    "clamp": elementwise(lambda h: h.clamp(-0.1, 0.2)),
    "clamp_min": elementwise(lambda h: h.clamp(min=0)),
    "maximum": elementwise(lambda h: torch.maximum(h, -0.3 * h)),
    "minimum of three": elementwise(lambda h: torch.minimum(h.flip(-1), torch.min(h, 0.5 * h.roll(1, -1)))),
    "where by position": elementwise(lambda h: torch.where(torch.arange(LENGTH) % 2 == 0, h, h.exp())),
    **{
        f"nn.{activation.__name__}": in_the_middle(activation)
        for activation in (
            *(nn.LeakyReLU, nn.ReLU6, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Hardswish),
            *(nn.Sigmoid, nn.LogSigmoid, nn.Tanh),
        )
    },
    "where, leaky": elementwise(lambda h: torch.where(h > 0, h, 0.1 * h)),
    "where, one side constant": elementwise(lambda h: torch.where(h <= 0.1, torch.tanh(h), 1.0)),
    "where, two activations": elementwise(lambda h: torch.where(h > h.roll(1, -1), h.exp(), h.square())),
    "Tensor.where": elementwise(lambda h: h.where(h >= 0, torch.zeros_like(h))),
    "ReLU by a product": elementwise(lambda h: h * (h > 0)),
    "mask of two comparisons": elementwise(lambda h: h * ((h > -0.2) & (h < 0.3)).to(h.dtype)),
    "mask of any comparison": elementwise(lambda h: h.masked_fill(~((h > 0) | (h < -0.3)), 0.0)),
    "mask of channels": elementwise(lambda h: h * (h.mean(1) > 0)[:, None]),
    "masked in place": elementwise(lambda h: (h * 1).masked_fill_(h < 0, 0.0)),
    "set where negative": elementwise(negative_set_to_zero),
    "share above a threshold": elementwise(lambda h: (h > 0).to(h.dtype).mean(-1)),
    # pooling
    "max pool": in_the_middle(lambda: nn.MaxPool1d(4)),
    "max pool, overlapping": in_the_middle(lambda: nn.MaxPool1d(5, 2)),
    "max pool, padded": elementwise(lambda h: F.max_pool1d(h, 5, 3, padding=2)),
    "max pool, dilated": elementwise(lambda h: F.max_pool1d(h, 3, 2, dilation=3)),
    "max pool, ceil mode": elementwise(lambda h: F.max_pool1d(h, 5, 5, ceil_mode=True)),
    "nn.MaxPool1d, padded": in_the_middle(lambda: nn.MaxPool1d(5, 3, padding=2)),
    "nn.MaxPool1d, dilated": in_the_middle(lambda: nn.MaxPool1d(3, 2, dilation=3)),
    "nn.MaxPool1d, ceil mode": in_the_middle(lambda: nn.MaxPool1d(5, 5, ceil_mode=True)),
    "nn.AdaptiveMaxPool1d": in_the_middle(lambda: nn.AdaptiveMaxPool1d(5)),
    "nn.AvgPool1d": in_the_middle(lambda: nn.Sequential(nn.ReLU(), nn.AvgPool1d(3))),
    "nn.AdaptiveAvgPool1d": in_the_middle(lambda: nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool1d(2))),
    "max pool with indices": elementwise(lambda h: F.max_pool1d(h, 3, return_indices=True)[0]),
    "adaptive max pool": elementwise(lambda h: F.adaptive_max_pool1d(h, 5)),
    "global amax": elementwise(lambda h: h.amax(-1)),
    "global max": elementwise(lambda h: h.max(-1)[0]),
    "global max, values": elementwise(lambda h: h.max(dim=2, keepdim=True).values),
    "global torch.max": elementwise(lambda h: torch.max(h, -1).values),
    "amax of two axes": elementwise(lambda h: h.amax((1, 2), keepdim=True)),
    "global min": elementwise(lambda h: h.amin(dim=1)),
    "average pool": elementwise(lambda h: F.avg_pool1d(F.relu(h), 3)),
    "adaptive average pool": elementwise(lambda h: F.adaptive_avg_pool1d(F.relu(h), 2)),
    "top-k mean": elementwise(lambda h: h.topk(3, -1).values.mean(-1)),
    "top-k of the smallest": elementwise(lambda h: torch.topk(h, 4, dim=1, largest=False)[0]),
    "attention pool": elementwise(attention_pool),
    "log-sum-exp": elementwise(lambda h: h.logsumexp(-1)),
    "log-sum-exp, kept": elementwise(lambda h: torch.logsumexp(5 * h, dim=1, keepdim=True)),
    # normalisation
    "BatchNorm": in_the_middle(lambda: nn.Sequential(nn.BatchNorm1d(CHANNELS), nn.ReLU())),
    "LayerNorm": in_the_middle(lambda: nn.LayerNorm(LENGTH)),
    "LayerNorm over channels": in_the_middle(lambda: nn.LayerNorm(CHANNELS), lambda h, m: m(h.mT).mT),
    "GroupNorm": in_the_middle(lambda: nn.GroupNorm(2, CHANNELS)),
    "RMSNorm": in_the_middle(lambda: nn.RMSNorm(LENGTH)),
    "InstanceNorm": in_the_middle(lambda: nn.InstanceNorm1d(CHANNELS, affine=True)),
    "F.normalize": elementwise(lambda h: F.normalize(h, dim=1)),
    "standardised by hand": elementwise(lambda h: (h - h.mean(-1, keepdim=True)) / (h.std(-1, keepdim=True) + 1e-3)),
    "weight norm": in_the_middle(
        lambda: nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Conv1d(CHANNELS, CHANNELS, 3)),
            nn.ReLU(),
            nn.utils.parametrizations.spectral_norm(nn.Conv1d(CHANNELS, 2, 3)),
            nn.Tanh(),
        )
    ),
    # products
    "gate": elementwise(lambda h: h * torch.sigmoid(h.roll(1, 1))),
    "gate in place": elementwise(lambda h: h.mul_(torch.sigmoid(h))),
    "squeeze and excite": elementwise(squeeze_and_excite),
    "GLU": elementwise(lambda h: F.glu(h, 1)),
    "nn.GLU": in_the_middle(lambda: nn.GLU(dim=-1)),
    "self product": elementwise(lambda h: h @ h.mT),
    "einsum of two activations": elementwise(lambda h: torch.einsum("ncl,ndl->ncd", h, torch.tanh(h))),
    "einsum with a weight": in_the_middle(
        lambda: nn.Linear(CHANNELS, 3), lambda h, m: torch.einsum("ncl,kc->nkl", F.relu(h), m.weight)
    ),
    "division": elementwise(lambda h: h / (1 + h.roll(1, 1).square())),
    "arithmetic with numbers": elementwise(
        lambda h: ((3 - h) / 7 + 2 * h.exp() - 1) * 0.5 / torch.full((LENGTH,), 2.0)
    ),
    "arithmetic in place": elementwise(arithmetic_in_place),
    "reversed division": elementwise(lambda h: 1 / (1 + h.exp())),
    "division in place": elementwise(lambda h: h.exp().div_(h.exp().sum(1, keepdim=True))),
    "softmax": in_the_middle(lambda: nn.Softmax(-1)),
    "nn.LogSoftmax": in_the_middle(lambda: nn.LogSoftmax(1)),
    "log_softmax": elementwise(lambda h: F.log_softmax(h, 1)),
    "hard softmax": elementwise(lambda h: torch.softmax(200 * h, dim=1)),
    "MultiheadAttention": lambda: Transformer(layer=False),
    "MultiheadAttention, batch second": lambda: Transformer(layer=False, batch_first=False),
    "scaled_dot_product_attention": lambda: Attention(False),
    "causal attention": lambda: Attention(True),
    "TransformerEncoderLayer": Transformer,
    "TransformerEncoderLayer, norm first": lambda: Transformer(norm_first=True),
    "TransformerEncoderLayer, batch second": lambda: Transformer(batch_first=False),
    # recurrent
    "LSTM": in_the_middle(lambda: Recurrent(nn.LSTM)),
    "LSTM, two layers, both ways": in_the_middle(lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True)),
    "LSTM, projected": in_the_middle(lambda: Recurrent(nn.LSTM, proj_size=2)),
    "GRU": in_the_middle(lambda: Recurrent(nn.GRU)),
    "GRU without bias": in_the_middle(lambda: Recurrent(nn.GRU, bias=False)),
    "RNN": in_the_middle(lambda: Recurrent(nn.RNN, nonlinearity="relu", bidirectional=True)),
    "LSTMCell in a loop": in_the_middle(Cell),
    # structure
    "residual of modules": in_the_middle(nn.ReLU, lambda h, module: h + module(h)),
    "dilated stack of modules": in_the_middle(
        lambda: nn.Sequential(
            *(nn.Sequential(nn.Conv1d(CHANNELS, CHANNELS, 3, padding=d, dilation=d), nn.ReLU()) for d in (1, 2, 4))
        )
    ),
    "Basset of modules": in_the_middle(
        lambda: nn.Sequential(
            *(nn.BatchNorm1d(CHANNELS), nn.ReLU(), nn.MaxPool1d(3), nn.Conv1d(CHANNELS, 8, 3), nn.BatchNorm1d(8)),
            *(nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(24, 5), nn.ReLU(), nn.Dropout(0.3)),
        )
    ),
    "residual": elementwise(lambda h: h + F.relu(h) + 0.5 * F.gelu(h)),
    "concatenation": elementwise(lambda h: torch.cat([F.relu(h), -h, h.tanh()], dim=1)),
    "siamese sum": lambda: Siamese(torch.add),
    "siamese max": lambda: Siamese(torch.maximum),
    "siamese mean of a stack": lambda: Siamese(lambda a, b: torch.stack([a, b]).mean(0)),
    "2-D convolutions": TwoDimensional,
    "U-Net": UNet,
    "profile head": ProfileHead,
    "checkpointed": elementwise(lambda h: checkpoint(lambda t: F.gelu(t.exp()), h, use_reentrant=False)),
    "checkpointed, reentrant": elementwise(lambda h: checkpoint(lambda t: F.gelu(t.exp()), h, use_reentrant=True)),
    "view of a convolution": elementwise(lambda h: F.relu(h.view(len(h), 2, -1)).view(len(h), -1)),
    "view changed in place": elementwise(view_changed_in_place),
    "strides asked for": elementwise(lambda h: F.relu(h.as_strided(h.shape, h.stride())) if h.is_contiguous() else -h),
    "loops and slices": elementwise(lambda h: torch.stack([F.relu(h[..., i::3]).sum(-1) for i in range(3)], -1)),
    "buffer filled": elementwise(lambda h: torch.zeros(len(h), 2, LENGTH, dtype=h.dtype).copy_(h[:, :2].tanh())),
    "detached statistics": elementwise(detached),
    "linear only": elementwise(lambda h: h.flip(-1).cumsum(-1)),
}


class Kernel(torch.autograd.Function):
    """Works on memory behind PyTorch's back, as a compiled kernel of one's own does."""

    @staticmethod
    def forward(ctx, x):
        x = x.contiguous()
        out = torch.empty_like(x)
        ctypes.memmove(out.data_ptr(), x.data_ptr(), x.nbytes)
        return out


REFUSED = {
    "argmax": (lambda: Net(lambda h: h.argmax(-1).double()), "argmax"),
    "sort": (lambda: Net(lambda h: h.sort(-1).values), "sort"),
    "equality": (lambda: Net(lambda h: h * (h == h.amax(-1, keepdim=True))), "__eq__"),
    "selected by a mask": (lambda: Net(lambda h: h[h > 0].sum().expand(len(h), 1)), "__getitem__"),
    "median": (lambda: Net(lambda h: h.median(-1).values), "median"),
    "round": (lambda: Net(torch.round), "round"),
    "floor division": (lambda: Net(lambda h: torch.div(h, 2, rounding_mode="floor")), "rounding_mode"),
    "remainder": (lambda: Net(lambda h: h % 2), "remainder"),
    "prod": (lambda: Net(lambda h: h.prod(-1)), "prod"),
    "control flow": (lambda: Net(lambda h: h if h.sum().item() > 0 else -h), "item"),
    "index": (lambda: Net(lambda h: h.gather(-1, h.max(-1, keepdim=True).indices)), "gather"),
    "custom function": (lambda: Net(lambda h: h + StraightThrough.apply(h)), "custom autograd.Function"),
    "hidden": (lambda: Net(lambda h: h + Kernel.apply(h)), "data_ptr"),
    "hidden last": (lambda: lambda x: Kernel.apply(x.sum(-1)), "data_ptr"),
    "packed LSTM": (
        lambda: Net(
            lambda h, m: m(nn.utils.rnn.pack_padded_sequence(h.mT, [LENGTH] * len(h), batch_first=True))[1][0][-1],
            module=nn.LSTM(CHANNELS, 3, batch_first=True),
        ),
        "pack",
    ),
    "dropout always on": (lambda: Net(lambda h: F.dropout(h, 0.5)), "dropout"),
    "batch statistics": (
        lambda: Net(lambda h, m: m(h), module=nn.BatchNorm1d(CHANNELS, track_running_stats=False)),
        "statistics of the batch",
    ),
    "maximum over the batch": (lambda: Net(lambda h: h / h.max()), "rows of a batch"),
    "three factors": (lambda: Net(lambda h: torch.einsum("ncl,ncl,ncl->nc", h, h, h)), "einsum"),
    "to integers": (lambda: Net(lambda h: h.long().double()), "long"),
    "numpy": (lambda: Net(lambda h: torch.from_numpy(h.detach().numpy())), "numpy"),
}


def build(name, dtype=torch.float64, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MODELS[name]()
        model(torch.rand(2, 4, LENGTH))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        return model.to(dtype)


def one_hot(n=N, length=LENGTH, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return F.one_hot(torch.randint(0, 4, (n, length), generator=generator), 4).mT.to(dtype)


def pairs(dtype=torch.float64):
    return one_hot(dtype=dtype), one_hot(N * R, seed=2, dtype=dtype).unflatten(0, (N, R))
