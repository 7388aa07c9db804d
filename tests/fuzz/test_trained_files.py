"""The reader of prompts.safetensors and head.safetensors on damaged, altered and hostile files."""

import contextlib
import io
import json
import shutil
import struct

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from copl_core.api import WeightsError
from copl_core.checkpoint import Header, load_trained, read_header, read_trained_file
from copl_core.cli.main import main
from fuzzing import ANYTHING, altered, damaged, fuzz, nothing_runs
from model_parts import build

NAMES = ("prompts.safetensors", "head.safetensors")
TOKENS = (
    b'"dtype":"F32"',
    b'"BF16"',
    b'"F4"',
    b"[0,0]",
    b"[-1,9]",
    b'"copl"',
    b"\\u0000",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model, its encoders, and the bytes of its two files."""
    from copl_core.checkpoint import fingerprint, save_trained

    folder, model = tmp_path_factory.mktemp("trained"), build(depths=(1, 1))
    encoders = {"visual": {"identity": model.visual.identity(), "fingerprint": fingerprint(model.visual)}}
    header = Header(
        encoders=encoders,
        model={"tuner": {"type": "copl", "prompts": {"global": {"length": 3}}}, "task": {"type": "toy", "head": {}}},
        components={"tuner": {"kind": "tuner", "name": "copl"}},
        scores={"val/x": 0.5},
        seed=3,
        protocol="standard",
        copl_version="0.1.0",
        names={"classes": ["dog", "cat"]},
    )
    save_trained(folder, model, header)
    return model, encoders, [(folder / name).read_bytes() for name in NAMES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that every case writes its files into."""
    return tmp_path_factory.mktemp("fuzzed")


def split(content: bytes) -> tuple[dict, bytes]:
    """The header of a safetensors file, and the tensors' bytes."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: object, tensors: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def check(trained, folder, which: int, content: bytes) -> None:
    """Every way to read the file ends in a result or a ``WeightsError``; the model is whole or untouched."""
    model, encoders, originals = trained
    shutil.rmtree(folder)
    folder.mkdir()
    for name, original in zip(NAMES, originals, strict=True):
        (folder / name).write_bytes(original)
    (folder / NAMES[which]).write_bytes(content)
    before = {name: tensor.clone() for name, tensor in model.tuner.state_dict().items()}
    with nothing_runs():
        for read in (
            lambda: read_trained_file(folder / NAMES[which]).is_intact(),
            lambda: read_header(folder),
            lambda: load_trained(folder, model, encoders, {"tuner": {"type": "copl"}, "task": {}}),
            lambda: load_trained(folder, model, encoders),
        ):
            try:
                read()
            except WeightsError as error:
                assert str(error)  # noqa: PT017  # one of many cases; most end in an error
    # Whatever was loaded is what was trained: the digests let nothing else through.
    after = model.tuner.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@fuzz
@given(which=st.integers(0, 1), data=st.data())
def test_damaged_bytes(trained, folder, which, data):
    check(trained, folder, which, data.draw(damaged(trained[2][which], TOKENS)))


@fuzz
@given(which=st.integers(0, 1), content=st.binary(max_size=200))
@example(which=0, content=b"")
@example(which=0, content=struct.pack("<Q", 2**63))
@example(which=1, content=struct.pack("<Q", 2) + b"{}")
def test_any_bytes(trained, folder, which, content):
    check(trained, folder, which, content)


@fuzz
@given(which=st.integers(0, 1), data=st.data())
def test_altered_headers(trained, folder, which, data):
    """The container stays valid JSON; names, types, shapes and places of tensors do not stay true."""
    header, tensors = split(trained[2][which])
    check(trained, folder, which, joined(data.draw(altered(header)), tensors))


@fuzz
@given(
    which=st.integers(0, 1),
    dtype=st.sampled_from(["F4", "F6_E2M3", "F8_E8M0", "F8_E4M3", "BF16", "F32", "F64", "C64", "BOOL", "U16", "X"]),
    shape=st.lists(st.sampled_from([0, 1, 2, 3, 2**31, 2**63, 2**64]), max_size=70),
    data=st.data(),
)
@example(which=0, dtype="F32", shape=[0, 2**63], data=None)
def test_odd_tensors(trained, folder, which, dtype, shape, data):
    """Types that PyTorch lacks, sizes beyond its integers, more dimensions than it takes."""
    header, tensors = split(trained[2][which])
    tensor_names = sorted(header.keys() - {"__metadata__"})
    name = data.draw(st.sampled_from(tensor_names)) if data else tensor_names[0]
    begin = header[name]["data_offsets"][0]
    # The tensors' bytes must remain covered without a gap: this one gets none if its shape has a zero.
    kept = {key: value for key, value in header.items() if key == "__metadata__"}
    check(trained, folder, which, joined({**kept, name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]}}, b""))
    header[name] = {**header[name], "dtype": dtype, "shape": shape, "data_offsets": [begin, begin]}
    check(trained, folder, which, joined(header, tensors))


@fuzz
@given(which=st.integers(0, 1), data=st.data())
def test_altered_documents(trained, folder, which, data):
    """Everything but our own document is in order."""
    header, tensors = split(trained[2][which])
    document = data.draw(altered(json.loads(header["__metadata__"]["copl"])))
    header["__metadata__"]["copl"] = json.dumps(document)
    check(trained, folder, which, joined(header, tensors))


@fuzz
@given(options=st.sampled_from([[], ["--json"]]), data=st.data())
def test_inspecting_altered_documents(trained, folder, options, data):
    """``copl inspect`` shows whatever can be read, on a terminal that takes UTF-8 only, and never steers it."""
    header, tensors = split(trained[2][0])
    document = data.draw(altered(json.loads(header["__metadata__"]["copl"])))
    header["__metadata__"]["copl"] = json.dumps(document)
    path = folder / "inspected.safetensors"
    path.write_bytes(joined(header, tensors))
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(io.StringIO()):
        assert main(["inspect", str(path), *options]) in (0, 2)
    assert b"\x1b" not in terminal.buffer.getvalue()


@fuzz
@given(which=st.integers(0, 1), document=ANYTHING.map(json.dumps) | st.text(max_size=40))
@example(which=0, document="[" * 100_000)
@example(which=0, document='{"format":"copl.prompts","format_version":' + "9" * 5000 + "}")
def test_any_document(trained, folder, which, document):
    header, tensors = split(trained[2][which])
    header["__metadata__"]["copl"] = document
    check(trained, folder, which, joined(header, tensors))
