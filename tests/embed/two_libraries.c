/* Libraries in one process that each use libcoop: two of them the same copy, one a copy of its own. They work at the same time, and
 * no copy knows of the other. */
#include "users.h"

int main(int argc, char **argv) {
    user users[3];
    const char *text;
    CHECK_EQ(argc, 4);
    users[0] = load_user(argv[1]);
    users[1] = load_user(argv[2]);
    users[2] = load_user(argv[3]);
    CHECK(users[0].api() == users[1].api());
    CHECK(users[0].api() != users[2].api());
    CHECK(strcmp(file_of(users[0].api()), file_of(users[2].api())) != 0);
    CHECK(users[0].api()->size == users[2].api()->size);
    run_users(users, 3);

    /* The message of one copy is not the other's. */
    CHECK(strstr(users[0].fails(), "pool must not be NULL") != NULL);
    text = users[2].api()->last_error();
    CHECK_EQ(*text, 0);
    CHECK(strstr(users[2].fails(), "pool must not be NULL") != NULL);
    return 0;
}
