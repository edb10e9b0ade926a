"""Models in ONNX files, run by ONNX Runtime on the CPU: encoder, decoder, or both.

No code of a file is run but the operators of ONNX Runtime: custom operators and references to other
files are refused before a session is created, and what a network answers is looked at with samples
before anything is stored. Limits are asked before a file is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from aecore import files
from aecore.errors import InvalidRequest, in_one_line, printable
from aecore.models.autoencoder import Autoencoder
from aecore.models.capabilities import MAX_ONNX, PARTS, WIDEST_CODE, Part
from aecore.models.contracts import Posterior
from aecore.models.likelihoods import LIKELIHOODS

if TYPE_CHECKING:
    from aecore.data.spec import DataSpec

MOST_NESTED = 16
"""Levels of graphs within graphs."""
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"""Sets of operators that ONNX Runtime brings along."""
TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}
INSTALL = (
    "Models in ONNX files need the packages onnx and onnxruntime, which are not installed: run "
    "`pip install latent-loupe[models]`."
)
NAMED = 5
"""Operators that a message names."""
CLOSE = 1e-3
"""Share of the largest output by which the same sample may differ from batch to batch."""


def refuse_missing() -> None:
    """Raise `InvalidRequest` where the packages that models in ONNX files need are missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise InvalidRequest(INSTALL) from None


# --- Files --------------------------------------------------------------------------------------


def read(path: Path) -> bytes:
    """Content of an ONNX file; raises `InvalidRequest` if it is missing, empty or too large."""
    name = printable(path.name)
    if not path.is_file():
        raise InvalidRequest(f"{printable(str(path))} is no file: give the path of an ONNX file.")
    try:
        size = path.stat().st_size
        if size > MAX_ONNX:
            raise InvalidRequest(
                f"{name} has {size:,} bytes, more than the {MAX_ONNX:,} that are read: export a "
                "smaller model, or one in half precision."
            )
        content = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(files.sentence(error)) from error
    if not content:
        raise InvalidRequest(f"{name} is empty: export it again.")
    return content


def refuse_unsafe(content: bytes, name: str) -> None:
    """Raise `InvalidRequest` with all that forbids to run a file: no ONNX, or not by itself.

    Arguments
        name: of the file, for the messages.
    """
    import onnx

    if len(content) > MAX_ONNX:
        raise InvalidRequest(f"{name} has more than {MAX_ONNX:,} bytes: export a smaller model.")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # of protobuf, whichever it is
        raise InvalidRequest(
            f"{name} is no ONNX file, or ends too early ({in_one_line(error).rstrip('.')}): export "
            "it again."
        ) from error
    if not model.ir_version or not model.graph.node:
        raise InvalidRequest(f"{name} is no ONNX file of a network: export it again.")
    own = {(each.domain, each.name) for each in model.functions}
    parts: list[Any] = [model.graph, *model.functions]
    parts += [each.initialization for each in model.training_info]
    operators: set[str] = set()
    outside = False
    for graph in _graphs(parts):
        tensors = [*getattr(graph, "initializer", ())]
        for sparse in getattr(graph, "sparse_initializer", ()):
            tensors += [sparse.values, sparse.indices]
        for node in graph.node:
            if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
                operators.add(printable(f"{node.domain}.{node.op_type}"))
            for attribute in node.attribute:
                tensors += [attribute.t, *attribute.tensors]
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    tensors += [sparse.values, sparse.indices]
        outside |= any(each.data_location == 1 or each.external_data for each in tensors)
    problems = []
    if operators:
        listed = ", ".join(sorted(operators)[:NAMED])
        problems.append(
            f"{name} has operators that are not part of ONNX: {listed}. Export it with those of "
            "ONNX alone, because no code of a model is run here."
        )
    if outside:
        problems.append(
            f"{name} refers to weights in another file, which is not read: export it as one file."
        )
    if problems:
        raise InvalidRequest(problems)


def _graphs(graphs: Iterable[Any], level: int = 0) -> Iterator[Any]:
    """Graphs and functions, and the graphs within their nodes."""
    if level > MOST_NESTED:
        raise InvalidRequest("The graphs of this model are nested too deeply: simplify it.")
    for graph in graphs:
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                inner = [*attribute.graphs]
                if attribute.HasField("g"):
                    inner.append(attribute.g)
                yield from _graphs(inner, level + 1)


# --- One network --------------------------------------------------------------------------------


class Network:
    """One ONNX file that can be run: one input of numbers, and its outputs.

    Arguments
        content: of the file.
        name: of the file, for the messages.

    Raises `InvalidRequest` where it cannot be run, or has not one input of samples.
    """

    def __init__(self, content: bytes, name: str) -> None:
        refuse_missing()
        import onnxruntime

        self.name = name
        refuse_unsafe(content, name)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the time of others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise InvalidRequest(
                f"{name} cannot be run by ONNX Runtime {onnxruntime.__version__} "
                f"({in_one_line(error)[:300].rstrip('.')}): export it again, perhaps for an "
                "earlier version of ONNX."
            ) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            given = ", ".join(printable(each.name) for each in inputs) or "none"
            raise InvalidRequest(
                f"{name} has {len(inputs)} inputs ({given}), and one is needed: the samples of an "
                "encoder, the codes of a decoder."
            )
        self._input = inputs[0]
        if self._input.type not in TYPES:
            raise InvalidRequest(
                f"{name} takes {self._input.type}, and numbers are given to it, as tensor(float): "
                "export it with such an input."
            )
        if len(self._input.shape) < 2:
            raise InvalidRequest(
                f"{name} takes an array of shape {self.takes}, whose first dimension has to be "
                "that of the samples: export it for batches."
            )
        first = self._input.shape[0]
        self.batch = first if isinstance(first, int) and first > 0 else None
        """Samples that it takes at once; None for any number."""

    @property
    def sizes(self) -> list[int | None]:
        """Sizes of one sample or code as it takes them; None where any will do."""
        return [
            size if isinstance(size, int) and size > 0 else None for size in self._input.shape[1:]
        ]

    @property
    def takes(self) -> str:
        """Shape of the input in words, such as "(N, 28, 28)"."""
        sizes = [str(size) if isinstance(size, int) else "N" for size in self._input.shape[:1]]
        sizes += ["any" if size is None else str(size) for size in self.sizes]
        return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        """Outputs for inputs (n, ...), each (n, ...) float32.

        Raises `InvalidRequest` where the network fails, or gives anything else.
        """
        step = self.batch or max(len(x), 1)
        parts = []
        for start in range(0, max(len(x), 1), step):
            part = x[start : start + step]
            missing = (self.batch or max(len(part), 1)) - len(part)
            # A fixed batch is filled up; of no samples the shapes alone are wanted.
            filled = np.concatenate([part, np.zeros((missing, *x.shape[1:]), x.dtype)])
            parts.append([each[: len(part)] for each in self._answer(filled)])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _answer(self, x: np.ndarray) -> list[np.ndarray]:
        values = np.ascontiguousarray(x, TYPES[self._input.type])
        try:
            answers = self._session.run(None, {self._input.name: values})
        except Exception as error:
            raise InvalidRequest(
                f"{self.name} fails on an input of shape {values.shape} "
                f"({in_one_line(error)[:300].rstrip('.')}): export it for such inputs."
            ) from error
        for answer in answers:
            kind = getattr(getattr(answer, "dtype", None), "kind", "")
            if kind != "f" or answer.ndim < 2 or len(answer) != len(x):
                shape = getattr(answer, "shape", type(answer).__name__)
                raise InvalidRequest(
                    f"{self.name} answers {len(x)} samples with an output of shape {shape}: each "
                    "output has to be an array of numbers with a row for each sample."
                )
        return [answer.astype(np.float32, copy=False) for answer in answers]


# --- Layouts ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """How a network has one sample: its sizes, and whether channels come first."""

    sizes: tuple[int, ...]
    channels_first: bool = False

    def arrange(self, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Samples (n, n_features) of a dataset as the network takes them."""
        if self.channels_first and len(shape) > 2:
            x = np.moveaxis(x.reshape(-1, *shape), -1, 1)
        return x.reshape(-1, *self.sizes)

    def flatten(self, output: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Outputs of the network as samples (n, n_features) of a dataset."""
        if self.channels_first and len(shape) > 2:
            output = np.moveaxis(output, 1, -1)
        return output.reshape(len(output), -1)


def layouts(shape: tuple[int, ...]) -> list[Layout]:
    """Layouts that a sample of a dataset may have in a network, the likeliest first.

    >>> [layout.sizes for layout in layouts((8, 8))]
    [(64,), (8, 8), (1, 8, 8), (8, 8, 1)]
    """
    flat = Layout((math.prod(shape),))
    if len(shape) == 1:
        return [flat, Layout((1, *shape), True), Layout((*shape, 1))]
    if len(shape) == 2:
        return [flat, Layout(shape), Layout((1, *shape), True), Layout((*shape, 1))]
    return [flat, Layout(shape), Layout((shape[-1], *shape[:-1]), True)]


def _fits(layout: Layout, sizes: Sequence[int | None]) -> bool:
    return len(layout.sizes) == len(sizes) and all(
        size is None or size == own for size, own in zip(sizes, layout.sizes, strict=True)
    )


def _shape_in_words(spec: DataSpec) -> str:
    shape = " x ".join(map(str, spec.shape))
    return f"{spec.traits.noun}s of {shape}" if len(spec.shape) > 1 else f"{shape} features"


# --- Encoder and decoder ------------------------------------------------------------------------


class OnnxEncoder(nn.Module):
    """Encoder in an ONNX file: (batch, n_features) -> `Posterior`.

    One output is the code; two of one shape are the mean and the log-variance of a Gaussian, and a
    third one, a draw from it, is not used. Further dimensions of a code are flattened.

    Raises `InvalidRequest` where the file is not such an encoder of these data.
    """

    def __init__(self, network: Network, spec: DataSpec) -> None:
        super().__init__()
        self._network, self._shape = network, spec.shape
        layout = next((each for each in layouts(spec.shape) if _fits(each, network.sizes)), None)
        if layout is None:
            raise InvalidRequest(
                f"{network.name} takes arrays of shape {network.takes}, and {spec.name} has "
                f"{_shape_in_words(spec)}: choose the dataset that it was trained on, or export it "
                "for such samples."
            )
        self.layout = layout
        outputs = self._run(np.zeros((1, spec.n_features), np.float32))
        if not 1 <= len(outputs) <= 3 or len({each.shape for each in outputs}) > 1:
            raise InvalidRequest(
                f"{network.name} has {len(outputs)} outputs, of shapes "
                f"{', '.join(str(each.shape) for each in outputs)}: an encoder has one, the code, "
                "or two of one shape, the mean and the log-variance."
            )
        self.posterior = len(outputs) > 1
        self.latent_dim = math.prod(outputs[0].shape[1:])
        if not 1 <= self.latent_dim <= WIDEST_CODE:
            raise InvalidRequest(
                f"{network.name} gives codes of {self.latent_dim:,} dimensions, and from 1 to "
                f"{WIDEST_CODE:,} are possible: export the layer of the code as its output."
            )

    def _run(self, x: np.ndarray) -> list[np.ndarray]:
        return self._network.run(self.layout.arrange(x, self._shape))

    def forward(self, x: Tensor) -> Posterior:
        outputs = [torch.from_numpy(each.reshape(len(x), -1)) for each in self._run(_array(x))]
        return Posterior(*(each.to(x.dtype) for each in outputs[: 1 + self.posterior]))


class OnnxDecoder(nn.Module):
    """Decoder in an ONNX file: (batch, latent_dim) -> (batch, n_features).

    Arguments
        latent_dim: of the codes; None for what the file says.

    Raises `InvalidRequest` where the file is not such a decoder of these data.
    """

    def __init__(self, network: Network, spec: DataSpec, latent_dim: int | None) -> None:
        super().__init__()
        self._network, self._shape = network, spec.shape
        sizes = network.sizes
        if None not in sizes:
            own = math.prod(size or 1 for size in sizes)
        elif len(sizes) == 1 and latent_dim:
            own, sizes = latent_dim, [latent_dim]
        else:
            raise InvalidRequest(
                f"{network.name} takes arrays of shape {network.takes}, which does not say how "
                "many dimensions a code has: export it for codes of a fixed size."
            )
        if latent_dim is not None and own != latent_dim:
            raise InvalidRequest(
                f"{network.name} takes codes of {own:,} dimensions, and those here have "
                f"{latent_dim:,}: give the encoder and the decoder of one model."
            )
        self.latent_dim = own
        self._code = tuple(size or 1 for size in sizes)
        outputs = self._run(np.zeros((1, own), np.float32))
        if len(outputs) != 1:
            raise InvalidRequest(
                f"{network.name} has {len(outputs)} outputs, and a decoder has one, the sample: "
                "export that alone."
            )
        shape = outputs[0].shape[1:]
        layout = next((each for each in layouts(spec.shape) if each.sizes == shape), None)
        if layout is None:
            raise InvalidRequest(
                f"{network.name} gives arrays of shape {('N', *shape)}, and {spec.name} has "
                f"{_shape_in_words(spec)}: choose the dataset that it was trained on, or export it "
                "with such outputs.".replace("'N'", "N")
            )
        self.layout = layout

    def _run(self, codes: np.ndarray) -> list[np.ndarray]:
        return self._network.run(codes.reshape(-1, *self._code))

    def forward(self, code: Tensor) -> Tensor:
        (output,) = self._run(_array(code))
        return torch.from_numpy(self.layout.flatten(output, self._shape)).to(code.dtype)


class Absent(nn.Module):
    """Part that a model has not; calling it raises `InvalidRequest`."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part

    def forward(self, values: Tensor) -> Any:
        raise InvalidRequest(f"This run has no {PARTS[self.part]}.")


class ImportedModel(Autoencoder):
    """Model that was made elsewhere: parts in ONNX files, without parameters and derivatives."""

    differentiable = False

    def __init__(self, encoder: OnnxEncoder | None, decoder: OnnxDecoder | None) -> None:
        likelihood = LIKELIHOODS["gaussian"]
        super().__init__(
            encoder or Absent("encode"), decoder or Absent("decode"), likelihood=likelihood
        )


def load(
    encoder: bytes | None,
    decoder: bytes | None,
    spec: DataSpec,
    latent_dim: int | None = None,
    names: tuple[str, str] = ("The encoder", "The decoder"),
) -> ImportedModel:
    """Model of the contents of ONNX files for the samples of a dataset.

    Arguments
        encoder, decoder: None where there is none.
        latent_dim: dimensions of the codes, where they are known.
        names: of both files, for the messages.

    Raises `InvalidRequest` with all that is wrong with both.
    """
    problems: list[str] = []
    inward = outward = None
    if encoder is not None:
        try:
            inward = OnnxEncoder(Network(encoder, names[0]), spec)
            if latent_dim not in (None, inward.latent_dim):
                problems.append(
                    f"{names[0]} gives codes of {inward.latent_dim:,} dimensions, and those here "
                    f"have {latent_dim:,}: give the codes of this model."
                )
        except InvalidRequest as error:
            problems += error.problems
    if decoder is not None:
        try:
            width = latent_dim if inward is None else inward.latent_dim
            outward = OnnxDecoder(Network(decoder, names[1]), spec, width)
        except InvalidRequest as error:
            problems += [each for each in error.problems if each not in problems]
    if problems:
        raise InvalidRequest(problems)
    return ImportedModel(inward, outward)


def refuse_unreliable(model: ImportedModel, x: np.ndarray, names: tuple[str, str]) -> None:
    """Raise `InvalidRequest` if outputs for samples are not finite, random, or of whole batches.

    Arguments
        x: a few samples, (n, n_features).
        names: of both files, for the messages.
    """
    problems = []
    codes = torch.zeros(len(x), 1)
    with torch.inference_mode():
        if isinstance(model.encoder, OnnxEncoder):
            problems += list(_unreliable(model.encoder, torch.tensor(x), names[0]))
            codes = model.encode(torch.tensor(x))
        if isinstance(model.decoder, OnnxDecoder):
            if codes.shape[1] != model.decoder.latent_dim:
                codes = torch.zeros(len(x), model.decoder.latent_dim)
            if torch.isfinite(codes).all():  # or else the encoder was the cause
                problems += list(_unreliable(model.decoder, codes, names[1]))
    if problems:
        raise InvalidRequest(problems)


def _unreliable(part: nn.Module, values: Tensor, name: str) -> Iterator[str]:
    def answer(given: Tensor) -> Tensor:
        output = part(given)
        return (
            torch.cat([each for each in output if each is not None], dim=1)
            if isinstance(output, Posterior)
            else output
        )

    first = answer(values)
    if not torch.isfinite(first).all():
        yield (
            f"{name} answers with values that are no finite numbers (NaN): look at its weights, "
            "and at the scale of the data."
        )
        return
    margin = CLOSE * max(float(first.abs().max()), 1e-6)
    if (answer(values) - first).abs().max() > margin:
        yield (
            f"{name} answers the same sample differently each time: export it without dropout and "
            "draws, an encoder with its mean and log-variance."
        )
    elif (torch.cat([answer(one[None]) for one in values]) - first).abs().max() > margin:
        yield (
            f"{name} answers a sample differently by what else is in the batch: export it in "
            "evaluation mode."
        )


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()


# --- Export -------------------------------------------------------------------------------------


def export(module: nn.Module, example: Tensor) -> bytes:
    """ONNX file of a torch module, for batches of any size.

    Arguments
        example: a batch of inputs.

    Raises `InvalidRequest` where torch cannot export it.
    """
    import copy
    import tempfile
    import warnings

    refuse_missing()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="latent-loupe-") as folder,
            warnings.catch_warnings(),
            torch.no_grad(),
        ):
            warnings.simplefilter("ignore")
            file = Path(folder) / "model.onnx"
            torch.onnx.export(
                copy.deepcopy(module).cpu().eval(),
                (example,),
                file,
                input_names=["input"],
                dynamic_axes={"input": {0: "n"}},
                dynamo=False,  # the other exporter needs a further package
            )
            return file.read_bytes()
    except Exception as error:
        raise InvalidRequest(
            f"{type(module).__name__} cannot be exported to ONNX ({in_one_line(error)[:300]}): "
            "export it yourself, and import the files."
        ) from error
