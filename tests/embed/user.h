/* What a library of the test shows. */
#ifndef COOP_TEST_USER_H
#define COOP_TEST_USER_H

#include <coop.h>

/* Does that many tasks and as many posts, and answers how many ran. */
int user_rounds(int rounds);
/* The table of the copy that it uses. */
const coop_api *user_api(void);
/* Makes a call of its copy fail; answers that copy's message. */
const char *user_fails(void);

#endif
