"""The strongest lossless way to run VAR: what `nextscale.loop` defines, by fewer and larger operations on memory in place.

Weights, keys and values in the config's dtype · adaLN and its 1 + s once per image · one product for q, k, v with a bias made
once · K and V written where attention reads them · guidance, filters and race in one kernel · canvas states in slots · decoder
channels-last. On a GPU every scale is one CUDA graph, keyed by the scale and the plan of whoever answers for its sublayers, in
the memory of one batch shape; guidance and filters are read from memory, so that one record serves all values.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property, partial

import torch
from torch import Tensor

from sdaccel.generators.graphs import Graphs, Place, working_place
from sdaccel.generators.nextscale.canvas import wide
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.loop import Recorder, Sample, choose, ignore
from sdaccel.generators.nextscale.run import of_rows
from sdaccel.generators.nextscale.seam import Pass, ScaleSeam, Sublayers
from sdaccel.generators.nextscale.static_canvas import StaticCanvas
from sdaccel.generators.nextscale.tokenizer.autoencoder import Decoder
from sdaccel.generators.nextscale.tokens import PhiloxRace, Sampling, combine, combine_scales
from sdaccel.generators.var.engine_decode import suited
from sdaccel.generators.var.engine_parts import Prepared
from sdaccel.generators.var.engine_run import FastRun
from sdaccel.generators.var.sampler import VarModel
from sdaccel.kernels.race import guided_race

DECODED = 16
"""Images that go through the decoder at once: its working memory grows with them, its speed hardly does."""


class FastLoop:
    """One generation at a time, on memory for one batch shape."""

    def __init__(
        self,
        prepared: Prepared,
        *,
        rows: int,
        sampling: Sampling,
        decoder: Decoder | None,
        place: Place | None,
        done: Callable[["FastLoop"], None],
    ) -> None:
        self.done, self.rows, self.sampling = done, rows, sampling
        self.model, self.device = prepared.model, prepared.positions.device
        self.layout, self.codebook, vae = self.model.layout, self.model.codebook, self.model.vae
        self.layers = self.model.layers
        self.run = FastRun(prepared, batch=rows)
        empty = self.model.canvas(rows).f_hat
        self.canvas = StaticCanvas(phi=vae.quantize.quant_resi, layout=self.layout, empty=empty)
        self.condition, self.seeds = (torch.zeros(rows, dtype=torch.int64, device=self.device) for _ in range(2))
        self.tokens = self.condition.new_empty(rows, self.layout.token_start(self.layout.scales))
        self.knobs = torch.empty(self.layout.scales, 3, dtype=torch.float64, device=self.device)
        self.options: list[list[float]] = []
        side = self.layout.side * 2 ** (len(vae.decoder.up) - 1)
        self.pixels = self.canvas.slots.new_empty(rows, 3, side, side)
        self.record: Recorder = ignore
        # One kernel set per batch shape: with a free batch size the compiler would leave the layout of convolutions alone.
        compiled = partial(torch.compile, dynamic=False, fullgraph=True)
        self.decode = compiled(lambda f_hat: vae.decode(f_hat, decoder=decoder)) if decoder else vae.decode
        # A smoothing run bakes its options into what is launched, and float64 reads its options on the host.
        fit = not sampling.smooth and prepared.positions.dtype == torch.float32
        self.graphs = Graphs(enabled=place is not None and fit, place=place)
        self.answers: dict[Hashable, tuple[Sublayers | None, Mapping[int, bool]]] = {}
        """By the key of a graph: who was asked for sublayers, whose tensors it works on, and the layers that kept K and V."""

    def start(self, condition: Tensor, seeds: Tensor, sampling: Sampling) -> None:
        """Begin a generation: nothing of the one before is read again."""
        self.sampling = sampling
        options = [list(draw[:3]) for draw in sampling.scales]
        if options != self.options:  # a copy from the host waits for the device
            self.knobs.copy_(torch.tensor(options, dtype=torch.float64))
            self.options = options
        self.condition.copy_(condition)
        self.seeds.copy_(seeds)
        self.truncate(0)
        self.graphs.run("load", lambda: self.run.load(self.condition))

    def full(self, scale: int, *, sublayers: Sublayers | None = None) -> None:
        """Input, blocks, guidance, tokens and canvas of the next scale."""
        self.run.expect(scale)
        plan = () if sublayers is None else (sublayers.plan,)
        key = (scale, *plan, tuple(self.run.kv.dropped))  # where this scale's keys lie follows from what was dropped before
        self.graphs.run(key, lambda: self._compute(scale, sublayers, key))
        self.run.count(scale, scale, kept=self.answers[key][1] if plan else None)
        self.canvas.count()

    def _compute(self, k: int, sublayers: Sublayers | None, key: Hashable) -> None:
        run, canvas = self.run, self.canvas
        x = run.begin() if k == 0 else run.embed(canvas.next_input(), first=k, last=k)
        self.record("block0_input", x)
        h = run.compute(x, first=k, last=k, sublayers=sublayers)
        self.answers[key] = sublayers, run.kept
        self.record("last_block_output", h)
        codes = self._choose(run.raw_logits(self.layout.token_rows(h, first=k)), k)
        self.record("tokens", self.tokens)
        canvas.paint(codes)
        self.record("f_hat", canvas.slots[k + 1])

    def _choose(self, raw: Tensor, k: int) -> Tensor:
        """Write the tokens of scale k and return its codes (B, l, Cvae)."""
        place, draw = self.tokens_of(k), self.sampling.at(k)
        if draw.smoothing is None:
            tokens = guided_race(raw, self.seeds, self.knobs[k], start=self.layout.token_start(k))
            place.copy_(tokens)
            return self.codebook[tokens]
        tokens, codes = self._smooth(Pass(combine(wide(raw), draw.t)), k)
        place.copy_(tokens)
        return codes

    def _smooth(self, said: Pass, k: int) -> tuple[Tensor, Tensor]:
        noise = PhiloxRace(of_rows(self.seeds, said.rows))
        return choose(said, k, model=self.model, noise=noise, sampling=self.sampling)

    def guided(
        self, maps: Tensor | None, *, first: int, last: int, bias: Tensor | None = None, rows: Sequence[int] | None = None
    ) -> Pass:
        """What the model says of several scales in one pass; see the seam."""
        memory, tokens = self.passes, self._tokens(first, last)
        if maps is not None:
            memory.maps[:, self._tokens(max(first, 1), last)] = maps
        graphs = self.graphs if bias is None else Graphs(enabled=False)  # a bias of the caller's need not stay in place
        with self.run.standing_at(first, last, rows):
            graphs.run(("guided", first, last), lambda: self._guided(first, last, bias))
            self.run.count(first, last)
        logits = memory.logits[:, tokens]
        return Pass(logits.clone() if rows is None else of_rows(logits, rows), rows=rows)

    def _guided(self, first: int, last: int, bias: Tensor | None) -> None:
        memory, tokens = self.passes, self._tokens(first, last)
        maps = memory.maps[:, self._tokens(max(first, 1), last)] if last > 0 else None
        h = self.run.compute(self.run.inputs(maps, first=first, last=last), first=first, last=last, bias=bias)
        raw = self.run.logits(self.layout.token_rows(h, first=first))
        memory.logits[:, tokens] = combine_scales(raw, self.knobs[memory.scales[tokens], 0])

    def _tokens(self, first: int, last: int) -> slice:
        """The places of the tokens of scales first .. last."""
        return slice(self.layout.token_start(first), self.layout.token_start(last + 1))

    @cached_property
    def passes(self) -> "Passes":
        """Made when first needed: a plain generation has no use for it."""
        with torch.inference_mode(False), torch.no_grad():
            return Passes(self.layout, like=wide(self.model.var.pos_1LC), rows=self.rows, codebook=self.codebook)

    def draw(self, said: Pass, scale: int) -> tuple[Tensor, Tensor]:
        """Tokens and codes of one scale from what was said of it."""
        if self.sampling.at(scale).smoothing is not None:
            return self._smooth(said, scale)
        unguided = self.knobs[scale].clone()
        unguided[0] = 0
        start, seeds = self.layout.token_start(scale), of_rows(self.seeds, said.rows)
        tokens = guided_race(torch.cat([said.logits, said.logits]), seeds, unguided, start=start)
        return tokens, self.codebook[tokens]

    def codes(self, said: Pass, tokens: Tensor, scale: int) -> Tensor:
        """Codes to paint other tokens with, (B, l, Cvae)."""
        return self.codebook[tokens]

    def paint(self, scale: int, tokens: Tensor, codes: Tensor, *, rows: Sequence[int] | None = None) -> None:
        """Set a scale's tokens and the canvas behind it."""
        place = self.tokens_of(scale)
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
        return self.tokens[:, self._tokens(scale, scale)]

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
        tokens[:, self.layout.token_start(ran) :] = -1
        f_hats = torch.stack(self.canvas.states[1:] + [self.canvas.f_hat] * (self.layout.scales - ran), 1)
        images = self.pixels.clone()
        self.done(self)
        return Sample(tokens, f_hats, images)

    def _decode(self) -> None:
        parts = -(-len(self.pixels) // DECODED)
        for pixels, f_hat in zip(self.pixels.tensor_split(parts), self.canvas.f_hat.tensor_split(parts), strict=True):
            pixels.copy_(self.decode(f_hat).add_(1).div_(2))


class Passes:
    """Where passes over several scales, which a strategy asks for, find their input and leave their output, by token."""

    def __init__(self, layout: Layout, *, like: Tensor, rows: int, codebook: Tensor) -> None:
        (vocab, Cvae), tokens = codebook.shape, layout.token_start(layout.scales)
        self.maps = like.new_zeros(rows, tokens, Cvae)  # that of scale 0 is not read
        self.logits = like.new_zeros(rows, tokens, vocab)
        self.scales = torch.arange(layout.scales).repeat_interleave(torch.tensor(layout.lengths())).to(like.device)


class Fast:
    """Holds what models and batch shapes need once."""

    def __init__(self, model: VarModel) -> None:
        self.prepared = Prepared(model)
        self.graphs = self.reuse = model.device.type == "cuda"  # without graphs a finished loop is worth nothing
        self.place = working_place() if self.graphs else None
        model.vae.decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.decoder = suited(model.vae.decoder) if self.graphs else None
        self.free: dict[tuple[int, bool], list[FastLoop]] = {}

    def start(self, condition: Tensor, seeds: Tensor, *, sampling: Sampling) -> FastLoop:
        """A loop that no other generation uses; with its graphs, if one of this shape was finished before."""
        free = self.free.setdefault((len(condition), sampling.smooth), [])
        loop = free.pop() if free else self._loop(len(condition), sampling)
        loop.start(condition, seeds, sampling)
        return loop

    def _loop(self, rows: int, sampling: Sampling) -> FastLoop:
        # Memory made in inference mode could not be written outside of it, where a later generation may run.
        with torch.inference_mode(False), torch.no_grad():
            place = self.place if self.graphs else None
            return FastLoop(
                self.prepared, rows=rows, sampling=sampling, decoder=self.decoder, place=place, done=self._take_back
            )

    def forget(self) -> None:
        """Give back the memory of every batch shape that was used."""
        self.free.clear()
        self.place = working_place() if self.graphs else None

    def _take_back(self, loop: FastLoop) -> None:
        if self.reuse:
            self.free[loop.rows, loop.sampling.smooth].append(loop)
