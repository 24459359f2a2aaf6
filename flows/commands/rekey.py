"""`jifen rekey`: a new key for the root, and its pseudonyms in every published month."""

from __future__ import annotations

from flows.pipeline.progress import ProgressSink
from flows.pipeline.rekey import RekeyResult, finish_rekey, start_rekey
from flows.project import load_project
from flows.settings import Settings
from flows.storage.publish import finish_interrupted
from flows.storage.rekeys import is_rekey_unfinished
from flows.storage.removals import finish_removals
from flows.storage.root import open_root


def rekey_root(settings: Settings, reason: str, report_progress: ProgressSink) -> RekeyResult:
    """Change the root's key, and renew every pseudonym; one that was interrupted is finished instead.

    Args:
        settings: The settings of the project.
        reason: Why, for the access log.
        report_progress: Takes lines for the operator.

    Returns:
        What depended on the older key.

    Raises:
        JifenError: Exit 2, the operator may not; exit 13, a run holds the root; exit 15, something
            published is damaged; exit 1, the key file cannot be written.
    """
    root, project = open_root(settings), load_project(settings)
    root.operator.require_named()
    with root.lock():
        finish_interrupted(root, root.key())
        finish_removals(root, root.key())
        if is_rekey_unfinished(root):
            report_progress("上次更换密钥没有完成，接着完成；没有再换一次")
        else:
            start_rekey(root, reason)
        done = finish_rekey(root, project, report_progress)
    assert done is not None
    return done
