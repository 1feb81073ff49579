"""Images and video → arrays, frame by frame, as imageio decodes them. Imported only when such a file is met."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..exits import ExitCode, Stop
from .sources import BadFile, Source, SourceArray

__all__ = ["open_media"]

_TEXT = ("ansi", "bintext", "idf", "xbin")  # FFmpeg makes video of any text file


def open_media(path: str, name: str) -> Source:
    """An image, or a sequence of them as in a video, an animated GIF, a TIFF of several pages.

    Raises:
        BadFile: it is nothing that can be decoded.
        Stop: the packages that decode are not installed.
    """
    plugin = _find_plugin(path)
    first, count = _look(path, plugin)
    still = plugin == "pillow" and count == 1
    # Only the end tells how many frames there are: what a container says of them may be wrong.
    shape = first.shape if still else (None, *first.shape)

    def arrays() -> Iterator[SourceArray]:
        pieces = _decode(path, plugin, first)
        yield SourceArray("", first.dtype, shape, "C", 1 if still else None, pieces)

    return Source(name, first.nbytes * count or None, arrays)


def _find_plugin(path: str) -> str:
    """Name of imageio's plugin that can open the file."""
    try:
        import av  # noqa: F401 - the plugin pyav needs it, and says so less clearly
        import imageio.v3  # noqa: F401
    except ModuleNotFoundError:
        needs = "images and video need more packages: pip install 'nptransport[media]'"
        raise Stop(ExitCode.USAGE, f"{path}: neither .npy nor .npz; {needs}") from None
    for plugin in ("pillow", "pyav"):
        try:
            with _open(path, plugin):
                if plugin == "pillow" or _find_codec(path) not in _TEXT:
                    return plugin
        except Exception:  # noqa: BLE001 - each library below raises its own
            continue
    raise BadFile("neither .npy nor .npz, and no image or video that can be decoded")


def _find_codec(path: str) -> str:
    """FFmpeg's name for it. The plugin's own metadata() ends the process where there is no pixel format (av 17.1)."""
    import av

    with av.open(path) as container:
        return container.streams.video[0].codec_context.name


def _look(path: str, plugin: str) -> tuple[np.ndarray[Any, Any], int]:
    """The first frame, and how many there are as far as the file tells."""
    try:
        with _open(path, plugin) as file:
            return next(iter(file.iter())), file.properties(index=...).shape[0]
    except StopIteration:
        raise BadFile("no frame in it that can be decoded") from None
    except Exception as error:  # noqa: BLE001 - as above
        raise BadFile(f"cannot be decoded: {_say(error)}") from None


def _decode(path: str, plugin: str, like: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    options = {"thread_type": "FRAME"} if plugin == "pyav" else {}  # on all cores
    try:
        with _open(path, plugin) as file:
            for index, frame in enumerate(file.iter(**options)):
                if (frame.shape, frame.dtype) != (like.shape, like.dtype):
                    found = f"{frame.dtype} {list(frame.shape)}, the first {like.dtype} {list(like.shape)}"
                    raise BadFile(f"its frames do not make one array: frame {index} is {found}")
                # Pillow's black and white is 0 and 255, also where it calls that bool.
                yield frame if frame.dtype != np.bool_ else frame.view(np.uint8) != 0
    except (BadFile, GeneratorExit):
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise BadFile(f"cannot be decoded: {_say(error)}") from None


def _open(path: str, plugin: str) -> Any:
    import imageio.v3

    imopen: Any = imageio.v3.imopen
    return imopen(path, "r", plugin=plugin)


def _say(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error)  # FFmpeg's numbers tell nobody anything
    return " ".join(said.split()) or type(error).__name__
