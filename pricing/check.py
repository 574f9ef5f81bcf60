"""`python -m pricing.check [BOOK]`: is the price book right? One line per problem, exit code 1 if there is any."""

import sys
import time
from collections.abc import Sequence

from pricing.book import DEFAULT_BOOK_PATH, PriceBookError, load_book


def main(arguments: Sequence[str]) -> int:
    """Check the named book, else the committed one; the exit code."""
    path = arguments[0] if arguments else str(DEFAULT_BOOK_PATH)
    started = time.perf_counter()
    try:
        book = load_book(path)
    except PriceBookError as error:
        print(error, file=sys.stderr)
        return 1
    models = [model for provider in book.providers.values() for model in provider.models.values()]
    entries = sum(len(model.entries) for model in models)
    milliseconds = round((time.perf_counter() - started) * 1000)
    print(
        f"price book {book.version}: {len(book.providers)} providers, {len(models)} models, {entries} entries, "
        f"read in {milliseconds} ms"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
