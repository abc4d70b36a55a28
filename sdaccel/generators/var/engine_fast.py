"""The strongest lossless way to run VAR: what `sampler` defines, by fewer and larger operations on memory that stays in place.

Weights, keys and values in the config's dtype · adaLN and its 1 + s once per image · one product for q, k, v with a bias made
once · K and V written where attention reads them · guidance, filters and race in one kernel · canvas states in slots · decoder
channels-last. On a GPU every scale is one CUDA graph, keyed by (scale, rows) of the memory of one batch shape, and guidance and
filters are read from memory, so that one record serves all values.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel.generators.graphs import Graphs, Place, working_place
from sdaccel.generators.nextscale.canvas import wide
from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.scales import offsets
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.generators.nextscale.static_canvas import StaticCanvas
from sdaccel.generators.nextscale.tokenizer.autoencoder import Decoder
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.tokens import PhiloxRace, combine, combine_scales
from sdaccel.generators.var.engine_decode import suited
from sdaccel.generators.var.engine_parts import Prepared, hidden, split_heads
from sdaccel.generators.var.model import HEAD_DIM, VAR, attend
from sdaccel.generators.var.sampler import GuidedRun, Recorder, Sample, Sampling, choose, class_rows, ignore, of_rows
from sdaccel.kernels.adaln import add_gated, add_modulated, modulated, place
from sdaccel.kernels.race import guided_race

DECODED = 16
"""Images that go through the decoder at once: its working memory grows with them, its speed hardly does."""


class FastRun(GuidedRun):
    """`GuidedRun` on memory that outlives a generation: `load` starts the next one."""

    def __init__(self, prepared: Prepared, *, rows: int) -> None:
        model, device = prepared.model, prepared.positions.device
        depth, width = model.geometry.depth, model.geometry.width
        self.model, self.prepared = model, prepared
        self.cond = torch.empty(rows, width, dtype=prepared.dtype, device=device)
        self.blocks = torch.empty(depth, 6, rows, 1, width, dtype=prepared.positions.dtype, device=device)
        self.head = self.blocks.new_empty(2, rows, 1, width)
        self.kv = KVCache(
            layers=depth,
            rows=rows,
            heads=depth,
            capacity=model.offsets[-1],
            head_dim=HEAD_DIM,
            dtype=prepared.dtype,
            device=device,
        )

    def load(self, labels: Tensor) -> None:
        """Class rows and adaLN of a new generation; device work alone."""
        self.cond.copy_(class_rows(self.model, labels))
        mod = self.model.modulate(self.cond)
        torch.stack(mod.blocks, out=self.blocks)
        self.blocks[:, 2:4].add_(1)
        self.head.copy_(mod.head)
        self.head[0].add_(1)

    def embed(self, maps: Tensor, *, first: int, last: int) -> Tensor:
        o, prepared = self.model.offsets, self.prepared
        embedded = wide(self.model.word_embed(maps.to(prepared.dtype)))
        return embedded.add_(prepared.positions[:, o[first] : o[last + 1]]).repeat(2, 1, 1)

    def advance(self, x: Tensor, *, first: int, last: int, bias: Tensor | None = None) -> Tensor:
        self.expect(first)
        h = self.compute(x.clone(), first=first, last=last, bias=bias)
        self.count(last)
        return h

    def compute(self, x: Tensor, *, first: int, last: int, bias: Tensor | None = None) -> Tensor:
        """`advance` without its bookkeeping on the host; x is overwritten."""
        start, end = self.model.offsets[first], self.model.offsets[last + 1]
        seen = partial(attend, bias=self.model.bias(first, last) if bias is None else bias)
        dtype, last_layer = self.prepared.dtype, len(self.prepared.layers) - 1
        h = modulated(x, self.blocks[0, 2], self.blocks[0, 4], dtype)
        for i, layer in enumerate(self.prepared.layers):
            g1, g2, _, s2, _, b2 = self.blocks[i].unbind(0)
            k, v = self.kv.keys[i, :, :, :end], self.kv.values[i, :, :, :end]
            qkv = split_heads(F.linear(h, layer.qkv, layer.qkv_bias))
            q = place(qkv, layer.factor, k[:, :, start:], v[:, :, start:])
            y = layer.proj(seen(q, k, v).transpose(1, 2).flatten(2))
            h = add_modulated(x, g1, y, s2, b2, dtype)
            y = layer.fc2(hidden(h, layer.fc1))
            if i == last_layer:
                return add_gated(x, g2, y)
            h = add_modulated(x, g2, y, self.blocks[i + 1, 2], self.blocks[i + 1, 4], dtype)
        raise RuntimeError("a transformer has at least one block")

    def count(self, last: int) -> None:
        """The cache now holds scales up to `last`."""
        self.kv.lengths = [self.model.offsets[last + 1]] * len(self.kv.lengths)

    def logits(self, h: Tensor) -> Tensor:
        return wide(self.raw_logits(h))

    def raw_logits(self, h: Tensor) -> Tensor:
        """`logits` in the format of the weights."""
        return self.model.head(modulated(h, self.head[0], self.head[1], self.prepared.dtype))


class FastLoop:
    """One generation at a time, on memory for one batch shape."""

    def __init__(
        self,
        prepared: Prepared,
        vae: VQVAE,
        *,
        rows: int,
        sampling: Sampling,
        decoder: Decoder | None,
        place: Place | None,
        done: Callable[["FastLoop"], None],
    ) -> None:
        self.done = done
        model, device = prepared.model, prepared.positions.device
        patch_nums = model.geometry.patch_nums
        self.vae, self.offsets, self.scales = vae, offsets(patch_nums), len(patch_nums)
        self.run = FastRun(prepared, rows=2 * rows)
        empty = vae.canvas(patch_nums, rows=rows).f_hat
        self.canvas = StaticCanvas(phi=vae.quantize.quant_resi, patch_nums=patch_nums, empty=empty)
        self.labels, self.seeds = (torch.zeros(rows, dtype=torch.int64, device=device) for _ in range(2))
        self.tokens = self.labels.new_empty(rows, self.offsets[-1])
        self.knobs = torch.empty(self.scales, 3, dtype=torch.float64, device=device)
        self.options: list[list[float]] = []
        side = patch_nums[-1] * 2 ** (len(vae.decoder.up) - 1)
        self.pixels = self.canvas.slots.new_empty(rows, 3, side, side)
        self.record: Recorder = ignore
        self.sampling = sampling
        # One kernel set per batch shape: with a free batch size the compiler would leave the layout of convolutions alone.
        compiled = partial(torch.compile, dynamic=False, fullgraph=True)
        self.decode = compiled(lambda f_hat: vae.decode(f_hat, decoder=decoder)) if decoder else vae.decode
        # A smoothing run bakes its options into what is launched, and float64 reads its options on the host.
        fit = not sampling.more_smooth and prepared.positions.dtype == torch.float32
        self.graphs = Graphs(enabled=place is not None and fit, place=place)

    def start(self, labels: Tensor, seeds: Tensor, sampling: Sampling) -> None:
        """Begin a generation: nothing of the one before is read again."""
        self.sampling = sampling
        t = [sampling.cfg * (k / (self.scales - 1)) for k in range(self.scales)]
        options = [[tk, sampling.top_k, sampling.top_p] for tk in t]
        if options != self.options:  # a copy from the host waits for the device
            self.knobs.copy_(torch.tensor(options, dtype=torch.float64))
            self.options = options
        self.labels.copy_(labels)
        self.seeds.copy_(seeds)
        self.truncate(0)
        self.graphs.run("load", lambda: self.run.load(self.labels))

    def full(self, scale: int) -> None:
        """Input, blocks, guidance, tokens and canvas of the next scale."""
        self.run.expect(scale)
        self.graphs.run(scale, lambda: self._compute(scale))
        self.run.count(scale)
        self.canvas.count()

    def _compute(self, k: int) -> None:
        run, canvas = self.run, self.canvas
        x = run.begin() if k == 0 else run.embed(canvas.next_input(), first=k, last=k)
        self.record("block0_input", x)
        h = run.compute(x, first=k, last=k)
        self.record("last_block_output", h)
        codes = self._choose(run.raw_logits(h), k)
        self.record("tokens", self.tokens)
        canvas.paint(codes)
        self.record("f_hat", canvas.slots[k + 1])

    def _choose(self, raw: Tensor, k: int) -> Tensor:
        """Write the tokens of scale k and return its codes (B, l, Cvae)."""
        codebook, start, end = self.vae.quantize.embedding.weight, self.offsets[k], self.offsets[k + 1]
        if not self.sampling.more_smooth:
            tokens = self.tokens[:, start:end] = guided_race(raw, self.seeds, self.knobs[k], start=start)
            return codebook[tokens]
        self.tokens[:, start:end], codes = self._smooth(
            combine(wide(raw), self.sampling.cfg * (k / (self.scales - 1))), k, self.seeds
        )
        return codes

    def _smooth(self, logits: Tensor, k: int, seeds: Tensor) -> tuple[Tensor, Tensor]:
        return choose(
            logits,
            self.vae.quantize.embedding.weight,
            k=k,
            scales=self.scales,
            start=self.offsets[k],
            noise=PhiloxRace(seeds),
            sampling=self.sampling,
        )

    def guided(
        self, maps: Tensor | None, *, first: int, last: int, bias: Tensor | None = None, rows: Sequence[int] | None = None
    ) -> Tensor:
        """Guided logits (B, l, V) of several scales in one pass; see the seam."""
        o, memory = self.offsets, self.passes
        if maps is not None:
            memory.maps[:, max(o[first], 1) : o[last + 1]] = maps
        graphs = self.graphs if bias is None else Graphs(enabled=False)  # a bias of the caller's need not stay in place
        with self.run.standing_at(first, last, rows):
            graphs.run(("guided", first, last), lambda: self._guided(first, last, bias))
            self.run.count(last)
        logits = memory.logits[:, o[first] : o[last + 1]]
        return logits.clone() if rows is None else of_rows(logits, rows)

    def _guided(self, first: int, last: int, bias: Tensor | None) -> None:
        o, memory = self.offsets, self.passes
        maps = memory.maps[:, max(o[first], 1) : o[last + 1]] if last > 0 else None
        h = self.run.compute(self.run.inputs(maps, first=first, last=last), first=first, last=last, bias=bias)
        tokens = slice(o[first], o[last + 1])
        memory.logits[:, tokens] = combine_scales(self.run.logits(h), self.knobs[memory.levels[tokens], 0])

    @cached_property
    def passes(self) -> "Passes":
        """Made when first needed: a plain generation has no use for it."""
        with torch.inference_mode(False), torch.no_grad():
            return Passes(self.run.model, rows=len(self.labels))

    def draw(self, logits: Tensor, scale: int, *, rows: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Tokens and codes of one scale from its guided logits."""
        seeds = of_rows(self.seeds, rows)
        if self.sampling.more_smooth:
            return self._smooth(logits, scale, seeds)
        unguided = self.knobs[scale].clone()
        unguided[0] = 0
        tokens = guided_race(torch.cat([logits, logits]), seeds, unguided, start=self.offsets[scale])
        return tokens, self.codes(tokens)

    def codes(self, tokens: Tensor) -> Tensor:
        """Codebook entries (B, l, Cvae)."""
        return self.vae.quantize.embedding.weight[tokens]

    def paint(self, scale: int, tokens: Tensor, codes: Tensor, *, rows: Sequence[int] | None = None) -> None:
        """Set a scale's tokens and the canvas behind it."""
        place = self.tokens[:, self.offsets[scale] : self.offsets[scale + 1]]
        if rows is None:
            place.copy_(tokens)
        else:
            place.index_copy_(0, torch.tensor(rows, device=tokens.device), tokens)
        self.canvas.put(scale, codes, rows=rows)

    def release(self) -> None:
        """Hand the memory back without a picture."""
        self.done(self)

    def tokens_of(self, scale: int) -> Tensor:
        """(B, l)"""
        return self.tokens[:, self.offsets[scale] : self.offsets[scale + 1]]

    def adopt(self, other: ScaleSeam, scale: int) -> None:
        """Tokens and canvas of the scales before `scale`; see the seam."""
        for k in range(scale):
            self.tokens_of(k).copy_(other.tokens_of(k))
        self.canvas.adopt(other.canvas, scale)

    def blank(self, scale: int) -> None:
        """Nothing cached of the scales before; see the seam."""
        self.run.blank(scale)

    def truncate(self, scale: int) -> None:
        """Take back every scale from `scale` on: keys, values and canvas."""
        self.run.truncate(scale)
        self.canvas.truncate(scale)

    def finish(self) -> Sample:
        """Copies, so that the next generation may use this memory: it is handed back here."""
        ran = self.canvas.scale
        self.graphs.run(("decode", ran), self._decode)
        tokens = self.tokens.clone()
        tokens[:, self.offsets[ran] :] = -1
        f_hats = torch.stack(self.canvas.states[1:] + [self.canvas.f_hat] * (self.scales - ran), 1)
        images = self.pixels.clone()
        self.done(self)
        return Sample(tokens, f_hats, images)

    def _decode(self) -> None:
        parts = -(-len(self.pixels) // DECODED)
        for pixels, f_hat in zip(self.pixels.tensor_split(parts), self.canvas.f_hat.tensor_split(parts), strict=True):
            pixels.copy_(self.decode(f_hat).add_(1).div_(2))


class Passes:
    """Where passes over several scales, which a strategy asks for, find their input and leave their output."""

    def __init__(self, model: VAR, *, rows: int) -> None:
        g, like = model.geometry, wide(model.pos_1LC)
        self.maps = like.new_zeros(rows, model.offsets[-1], g.Cvae)  # by position; that of scale 0 is not read
        self.logits = like.new_zeros(rows, model.offsets[-1], g.vocab)
        self.levels = model.lvl_1L[0]


class Fast:
    """Holds what models and batch shapes need once."""

    def __init__(self, var: VAR, vae: VQVAE) -> None:
        self.prepared, self.vae = Prepared(var), vae
        self.graphs = self.reuse = var.pos_start.device.type == "cuda"  # without graphs a finished loop is worth nothing
        self.place = working_place() if self.graphs else None
        vae.decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.decoder = suited(vae.decoder) if self.graphs else None
        self.free: dict[tuple[int, bool], list[FastLoop]] = {}

    def start(self, labels: Tensor, seeds: Tensor, *, sampling: Sampling) -> FastLoop:
        """A loop that no other generation uses; with its graphs, if one of this shape was finished before."""
        free = self.free.setdefault((len(labels), sampling.more_smooth), [])
        loop = free.pop() if free else self._loop(len(labels), sampling)
        loop.start(labels, seeds, sampling)
        return loop

    def _loop(self, rows: int, sampling: Sampling) -> FastLoop:
        # Memory made in inference mode could not be written outside of it, where a later generation may run.
        with torch.inference_mode(False), torch.no_grad():
            place = self.place if self.graphs else None
            return FastLoop(
                self.prepared, self.vae, rows=rows, sampling=sampling, decoder=self.decoder, place=place, done=self._take_back
            )

    def forget(self) -> None:
        """Give back the memory of every batch shape that was used."""
        self.free.clear()
        self.place = working_place() if self.graphs else None

    def _take_back(self, loop: FastLoop) -> None:
        if self.reuse:
            self.free[len(loop.labels), loop.sampling.more_smooth].append(loop)
