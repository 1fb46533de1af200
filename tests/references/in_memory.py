"""The obvious executor: every task by itself, in the order given, results in a dictionary."""

from modescape.core.engine.events import Failed, Finished
from modescape.errors import MemberFailed
from modescape.studies.abstract import Job, Results


class InMemory(Results):
    def __init__(self, results, failures):
        self.results, self.failures = results, failures

    def read(self, task):
        return self.results.get(task)

    def failure(self, task):
        return self.failures.get(task)

    def seconds(self, task):
        """As if every training took as long, and drawing no time."""
        return 0.0 if task.startswith("draw/") else 1.0


def perform(tasks, context):
    """The results of all tasks, and why those failed that failed; a task whose input failed is not performed."""
    results, failures = {}, {}
    for task in tasks:
        gone = [source for source in task.inputs.values() if source in failures]
        if gone and not task.tolerant:
            failures[task.name] = failures[gone[0]]
            continue
        inputs = {n: lambda s=source: results[s] for n, source in task.inputs.items() if source in results}
        *_, last = task.function(context, [Job(task.arguments, inputs)])
        assert last.index == 0
        if isinstance(last, Finished):
            results[task.name] = last.result
        elif isinstance(last, Failed) and isinstance(last.error, MemberFailed):
            failures[task.name] = {"reason": str(last.error), "step": last.error.step}
        else:
            raise last.error
    return InMemory(results, failures)
