#!/usr/bin/env python
"""Write the training data: scikit-learn's bundled handwritten digits, as SageMaker would deliver them.

1,797 lines, without a header: 64 pixels from 0 to 16, row by row, then the label. No network needed.
"""

import gzip
import io
import sys
from pathlib import Path

from sklearn.datasets import load_digits  # type: ignore[import-untyped]

DATA = Path(__file__).parent / "opt/ml/input/data/training/digits.csv.gz"


def lines() -> str:
    """Return the whole data set as CSV."""
    digits = load_digits()
    rows = zip(digits.data.astype(int).tolist(), digits.target.tolist(), strict=True)
    return "".join(",".join(map(str, [*pixels, label])) + "\n" for pixels, label in rows)


def compressed(text: str) -> bytes:
    """Gzip without a name or a time in its header, so that the same data gives the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as archive:
        archive.write(text.encode())
    return buffer.getvalue()


def main() -> int:
    """Write the file; return the exit code."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compressed(lines()))
    print(f"wrote {path} ({path.stat().st_size:,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
