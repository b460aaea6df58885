# SPDX-License-Identifier: Apache-2.0
"""Sessions in shared memory: the life of the memory is the server's, not its children's."""
import os
import stat

from harness import identity, wait_until

ON = "DjangoSession On\n"


def test_the_memory_is_made_at_the_start_and_not_by_a_configtest(site):
    server = site.httpd(ON + 'DjangoSessionCache "shm://s?size=1m&file=@DIR@/sessions"\n',
                        start=False)
    file = server.dir / "sessions"
    code, said = server.configtest()
    assert code == 0, said
    assert not file.exists()
    server.start()
    assert server.get("/page.txt").status == 200
    found = os.lstat(file)
    assert stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_size == 1 << 20


def test_a_server_without_its_memory_does_not_start(site):
    server = site.httpd(ON + 'DjangoSessionCache "shm://s?size=1m&file=@DIR@/no/where"\n',
                        start=False)
    server.expect(105, "AH00016", "AH00020")
    try:
        server.start()
        wait_until(lambda: server.process.poll() is not None, "the server ends")
    except RuntimeError:
        pass  # it had ended already
    assert "cannot be made: No such file" in server.log


def test_a_file_of_root_is_given_to_the_servers_user(site):
    if os.geteuid() != 0:
        return
    server = site.httpd(ON + 'DjangoSessionCache "shm://s?size=1m&file=@DIR@/sessions"\n',
                        as_root=True)
    assert server.get("/page.txt").status == 200
    assert os.lstat(server.dir / "sessions").st_uid == identity()["user"]
