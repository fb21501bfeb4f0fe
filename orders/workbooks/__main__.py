"""`python -m orders.workbooks UNPACKED ROWS COLUMNS RESULT [comma]`: a workbook on stdin, its CSV on stdout.

Both must be files: a zip is read from its end, and a refusal takes back what was written. Exit codes: 0, `REFUSED` with
the sentence as output, or what the kernel did at a limit.
"""

from __future__ import annotations

import resource
import sys

from orders.workbooks.converting import convert
from orders.workbooks.limits import MEMORY_BYTES, REFUSED, SECONDS, Limits, Refused

#: a sentence must fit, however small the result may be
LEAST_OUTPUT = 4096


def main(arguments: list[str]) -> int:
    unpacked, rows, columns, result = map(int, arguments[:4])
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, SECONDS)
    _limit(resource.RLIMIT_FSIZE, max(result, LEAST_OUTPUT))
    _limit(resource.RLIMIT_CORE, 0)
    limits = Limits(unpacked_bytes=unpacked, rows=rows, columns=columns, result_bytes=result)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    try:
        convert(source, target, limits=limits, decimal_comma="comma" in arguments[4:])
        target.flush()
    except MemoryError:
        sentence = f"The workbook takes more than {MEMORY_BYTES // 1024**2} MB of memory to read; send it as CSV."
    except Refused as refusal:
        sentence = str(refusal)
    else:
        return 0
    target.seek(0)
    target.truncate()
    target.write(sentence.encode("utf-8", "replace"))
    target.flush()
    return REFUSED


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
