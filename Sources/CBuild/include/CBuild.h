#pragma once

// The commit that this was built from, as the build was told it (ONEWRITE_COMMIT); NULL when it was told none.
const char *ow_build_commit(void);
