# SPDX-License-Identifier: Apache-2.0
"""
mod_cache in front of sessions: what was made for one visitor is never another's, nor his own when his
session has ended; what is nobody's is still kept.

With its quick handler mod_cache answers before access is checked and before any module knows of the
request, so what is kept must be right for whoever asks next.
"""
import os

import pytest

import harness

#: a page is old enough for mod_cache to guess how long it stays as it is
OLD = 1e9

STORAGES = {"disk": ("CacheRoot @DIR@/kept\nCacheEnable disk /\n", ["cache_disk"]),
            "socache": ("CacheSocache shmcb:@DIR@/kept(2000000)\nCacheEnable socache /\n",
                        ["cache_socache", "socache_shmcb"])}

SECTIONS = """
CacheQuickHandler %s
CacheHeader On
ProxyPass "/app/" "%s"
DjangoSessionUpdate On
DjangoSessionHeader who=X-Who
<LocationMatch "^/app/(mine|hidden|tokens|careless/mine|marked|overruled/mine|late|late/hidden)/">
    DjangoSession On
</LocationMatch>
<LocationMatch "/hidden/">
    DjangoSessionHideCookie On
</LocationMatch>
<LocationMatch "/closed/">
    AuthType Django
    Require valid-user
</LocationMatch>
<LocationMatch "/careless/">
    CacheStorePrivate On
    CacheStoreNoStore On
    CacheStoreExpired On
    CacheIgnoreNoLastMod On
</LocationMatch>
<LocationMatch "/overruled/">
    Header set Cache-Control "public, max-age=100"
</LocationMatch>
<LocationMatch "/marked/">
    SetOutputFilter CACHE
</LocationMatch>
<LocationMatch "/tokens/">
    DjangoCsrf On
    DjangoSessionHeader On
</LocationMatch>
<LocationMatch "/late/">
    DjangoSessionEnv Off
    DjangoSessionHeader Off
    Header set X-For "expr=%%{django_session:who}"
</LocationMatch>
<Directory "@DIR@/htdocs">
    Options +Includes
    AddOutputFilter INCLUDES .shtml
</Directory>
"""


class Kept:
    """An httpd with a cache, an application that says for whom its answer is, and two visitors."""

    def __init__(self, databases, storage, quick):
        self.site = harness.Site(databases.get("sqlite"))
        self.quick = quick == "On"
        self.backend = self.site.backend()
        self.backend.answer = self.answer
        self.headers = {}  # path -> what the application's answers say
        self.status = {}   # path -> a function of the request
        config, modules = STORAGES[storage]
        self.server = self.site.httpd(config + SECTIONS % (quick, self.backend.url),
                                      modules=["cache"] + modules)
        (self.server.dir / "kept").mkdir(exist_ok=True)
        harness.hand_over(self.server.dir / "kept")
        for name in ("ada", "bob"):
            self.site.create_user(name)

    def answer(self, request):
        path, headers = request[1], dict(request[2])
        status = self.status.get(path, lambda _: 200)(headers)
        text = "for %s\n" % headers.get("X-Who", headers.get("Django-Csrf-Token", "nobody"))
        return status, self.headers.get(path, []), b"" if status == 304 else text.encode()

    def visitor(self, name):
        return "sessionid=" + self.site.login(name, who=name)

    def app(self, path, headers):
        self.headers["/" + path] = headers
        return "/app/" + path

    def file(self, name, text):
        path = self.server.dir / "htdocs" / name
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o755)
        path.write_text(text)
        os.utime(path, (OLD, OLD))

    def end(self, cookie):
        self.site.database.execute("DELETE FROM django_session WHERE session_key = %s",
                                   (cookie.split("=")[1],))


@pytest.fixture(scope="module", params=["disk, quick", "disk", "socache, quick", "socache"])
def kept(request, databases):
    storage, _, quick = request.param.partition(", ")
    made = Kept(databases, storage, "On" if quick else "Off")
    made.server.expect("AH00776", "unable to include")
    yield made
    made.site.close()


def is_hit(answer):
    return answer.get("X-Cache", "").startswith("HIT")


# ---- personal answers ---------------------------------------------------------------------------

FRESH = ("Cache-Control", "max-age=100")

#: headers of an answer that a cache would keep -> why
CACHEABLE = {
    "max-age": ([FRESH], "the usual way"),
    "s-maxage": ([("Cache-Control", "s-maxage=100")], "for shared caches"),
    "public": ([("Cache-Control", "Public, max-age=100")], "said to be for all"),
    "Expires": ([("Expires", "Tue, 01 Jan 2036 00:00:00 GMT")], "of HTTP/1.0"),
    "a guess": ([("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT"), ("ETag", '"x"')],
                "mod_cache makes one"),
    "revalidate": ([("Cache-Control", "must-revalidate, max-age=100")], "allowed with Authorization"),
    "one header private": ([("Cache-Control", 'private="X-Other", max-age=100')],
                           "the rest is not"),
    "two lines": ([("Cache-Control", "max-age=100"), ("Cache-Control", "public")], "read as one"),
}


def judge(section, case, answer):
    """What an answer made for one visitor has to say."""
    said = ", ".join(answer.all("Cache-Control")).lower()
    where = (section, case, answer)
    assert answer.status == 200 and not is_hit(answer) and "Cookie" in answer.vary, where
    if section == "mine":
        declared = case in ("public", "s-maxage", "two lines")
        assert said.endswith("private") != declared, where
    elif "closed" in section and "overruled" not in section:
        assert said.endswith("private") and "public" not in said and "s-maxage" not in said, where


@pytest.mark.parametrize("section", ["closed", "mine", "hidden", "careless/closed", "careless/mine",
                                     "overruled/closed", "overruled/mine", "marked",
                                     "marked/closed"])
def test_what_was_made_for_one_is_for_nobody_else(kept, section):
    """Two visitors, the first one again, when his session has ended, and nobody."""
    ada, bob = kept.visitor("ada"), kept.visitor("bob")
    paths = {case: kept.app(f"{section}/{case.replace(' ', '-')}", headers)
             for case, (headers, _) in CACHEABLE.items()}
    for case, path in paths.items():
        for cookie, name in ((ada, "ada"), (bob, "bob"), (ada, "ada")):
            answer = kept.server.get(path, cookie=cookie)
            judge(section, case, answer)
            assert answer.text == f"for {name}\n", (case, answer)
    kept.end(ada)
    for case, path in paths.items():
        for cookie in (ada, None, "other=1"):
            answer = kept.server.get(path, cookie=cookie)
            assert "for ada" not in answer.text and "for bob" not in answer.text, (case, cookie)


def test_a_csrf_token_is_in_nobody_elses_page(kept):
    path = kept.app("tokens/data", [FRESH, ("Content-Type", "application/json")])
    texts = []
    for cookie in ("csrftoken=" + 64 * "a", "csrftoken=" + 64 * "b", "csrftoken=" + 64 * "a"):
        answer = kept.server.get(path, cookie=cookie)
        assert answer.get("Cache-Control").endswith("private") and not is_hit(answer)
        texts.append(answer.text)
    assert len(set(texts)) == 3 and all(len(text) > 64 for text in texts), texts


@pytest.mark.parametrize("section", ["late", "late/hidden"])
def test_a_header_that_an_expression_made_for_one_is_for_nobody_else(kept, section):
    """It is made behind our filter, and before what mod_cache keeps."""
    ada, bob = kept.visitor("ada"), kept.visitor("bob")
    path = kept.app(section + "/page", [FRESH])
    for cookie, name in ((ada, "ada"), (bob, "bob"), (ada, "ada"), (None, "")):
        answer = kept.server.get(path, cookie=cookie)
        assert answer.get("X-For") == name and "Cookie" in answer.vary, answer
        assert ("private" in answer.get("Cache-Control")) == bool(name)
    kept.end(ada)
    assert kept.server.get(path, cookie=ada).get("X-For") == ""


@pytest.mark.parametrize("section", ["mine", "careless/mine", "marked"])
def test_nobody_gets_the_answer_that_began_anothers_session(kept, section):
    path = kept.app(f"{section}/begins", [FRESH, ("Django-Session-Set", "a=1")])
    answers = [kept.server.get(path) for _ in range(3)]
    assert all(a.cookie() and not is_hit(a) for a in answers)
    assert len({a.cookie() for a in answers}) == 3
    assert not any("Django-Session-Set" in dict(a.headers) for a in answers)


@pytest.mark.parametrize("section", ["mine", "careless/mine"])
def test_nobody_gets_a_cookie_that_the_application_set_itself(kept, section):
    """It is Django, and does not say that its answer is private."""
    path = kept.app(f"{section}/django", [FRESH, ("Set-Cookie", "sessionid=ofitsownxyz; Path=/")])
    for _ in range(3):
        answer = kept.server.get(path)
        assert not is_hit(answer) and "private" in answer.get("Cache-Control")


@pytest.mark.parametrize("section", ["mine", "careless/mine"])
def test_a_cookie_on_the_way_to_say_that_nothing_changed_is_not_kept(kept, section):
    """
    A page that is nobody's is kept and grows stale; asked whether it has changed, the application
    says no, and begins a session. mod_cache then asks again for the page as a whole.
    """
    path = kept.app(f"{section}/stale", [("Cache-Control", "max-age=0"), ("ETag", '"x"')])
    assert kept.server.get(path).status == 200
    kept.headers[f"/{section}/stale"].append(("Django-Session-Set", "a=1"))
    kept.status[f"/{section}/stale"] = lambda h: 304 if h.get("If-None-Match") == '"x"' else 200
    answers = [kept.server.get(path) for _ in range(3)]
    assert len(kept.backend.seen) and all(a.status == 200 for a in answers), answers
    assert len({a.cookie() for a in answers} - {None}) == 3, answers
    for answer in answers:
        assert len(answer.all("Set-Cookie")) == 1 and "Cookie" in answer.vary
        assert "private" in ", ".join(answer.all("Cache-Control"))
    del kept.headers[f"/{section}/stale"][-1]
    assert not kept.server.get(path).all("Set-Cookie")


@pytest.mark.parametrize("section", ["closed", "careless/closed"])
def test_refusals_are_not_kept(kept, section):
    path = kept.app(f"{section}/refused", [FRESH])
    browser = {"Accept": "text/html"}
    for _ in range(2):
        assert kept.server.get(path).status == 401
        answer = kept.server.get(path, browser)
        assert answer.status == 302 and answer.get("Cache-Control") == "no-store"
    assert kept.server.get(path, browser, cookie=kept.visitor("ada")).text == "for ada\n"
    assert kept.server.get(path, browser).status == 302


@pytest.mark.parametrize("begin", ["", "text", "text " * 20000],
                         ids=["at once", "text first", "much text first"])
def test_parts_of_a_page_are_kept_for_nobody_else(kept, begin):
    """mod_cache keeps what is included, too, under its own address; and began to keep the page."""
    ada = kept.visitor("ada")
    name = f"whole{len(begin)}.shtml"
    kept.file("closed/part.txt", "SECRETPART")
    part = kept.app("mine/part", [FRESH])
    kept.file("inner.shtml", f'<!--#include virtual="/closed/part.txt" -->')
    kept.file(name, begin + '<!--#include virtual="/inner.shtml" -->'
              f'<!--#include virtual="{part}" -->\n')
    for _ in range(2):
        text = kept.server.get("/" + name, cookie=ada).text
        assert "SECRETPART" in text and "for ada" in text
    for path in ("/closed/part.txt", "/inner.shtml"):
        assert "SECRETPART" not in kept.server.get(path).text
    assert kept.server.get(part).text == "for nobody\n"
    text = kept.server.get("/" + name).text
    assert "SECRETPART" not in text and "for nobody" in text


# ---- answers for all ----------------------------------------------------------------------------

def test_what_is_nobodys_is_kept(kept):
    ada = kept.visitor("ada")
    kept.file("open.txt", "open\n")
    for path in ("/open.txt", kept.app("open/page", [FRESH])):
        assert not is_hit(kept.server.get(path))
        for cookie in (None, ada):
            answer = kept.server.get(path, cookie=cookie)
            assert is_hit(answer) and "private" not in answer.get("Cache-Control", "")
    # Where sessions are, for those who have none: and each time with the word that it depends. The
    # hidden cookie is hidden from mod_cache, which then cannot tell.
    for section, expected in (("mine", True), ("hidden", False)):
        path = kept.app(f"{section}/page", [FRESH])
        assert not is_hit(kept.server.get(path))
        answer = kept.server.get(path)
        assert answer.text == "for nobody\n" and "Cookie" in answer.vary
        assert is_hit(answer) == expected and "private" not in answer.get("Cache-Control")
        for _ in range(2):
            assert kept.server.get(path, cookie=ada).text == "for ada\n"
        assert is_hit(kept.server.get(path)) == expected


def test_public_stays_said_and_is_still_kept_by_others_alone(kept):
    """Where no login is needed it is the application's to say; mod_cache would not ask it again."""
    ada, bob = kept.visitor("ada"), kept.visitor("bob")
    path = kept.app("mine/public", [("Cache-Control", "public, max-age=100")])
    for cookie, name in ((ada, "ada"), (ada, "ada"), (bob, "bob")):
        answer = kept.server.get(path, cookie=cookie)
        assert answer.text == f"for {name}\n" and not is_hit(answer)
        assert answer.get("Cache-Control") == "public, max-age=100" and "Cookie" in answer.vary
