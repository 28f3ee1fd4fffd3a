"""An index of the jobs that run, in the place of one of all states."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None


def upgrade() -> None:
    """Change the index."""
    op.drop_index("job_state", "job")
    active = sa.text("state IN ('starting', 'running')")
    op.create_index("job_active", "job", ["owner"], sqlite_where=active, postgresql_where=active)
