"""Many cases against one running daemon, where a daemon a case would only cost time."""

import functools
import inspect


def each(names, cases):
    """Like pytest.mark.parametrize, but all cases run in one test, on the same fixtures; every case that fails is told."""
    names = [n.strip() for n in names.split(",")]

    def decorate(test):
        fixtures = [p for p in inspect.signature(test).parameters if p not in names]

        def run(**given):
            failures = []
            for case in cases:
                values = case if len(names) > 1 else (case,)
                try:
                    test(**given, **dict(zip(names, values)))
                except AssertionError as e:
                    failures.append(f"{case!r}: {e}")
            assert not failures, f"{len(failures)} of {len(cases)} cases:\n" + "\n".join(failures)

        functools.update_wrapper(run, test)
        del run.__wrapped__
        run.__signature__ = inspect.Signature([inspect.Parameter(f, inspect.Parameter.POSITIONAL_OR_KEYWORD) for f in fixtures])
        return run

    return decorate
