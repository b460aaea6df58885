# SPDX-License-Identifier: Apache-2.0
"""
A real browser for the end-to-end tests and for the README's pictures: headless Chromium, driven by
Selenium.

Every name below .localhost, .example and .test is this machine, and there is no other machine: two
such names are two sites to the browser, with cookies of their own.
"""
import contextlib
import os
import tempfile

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from harness import PATIENCE

ARGUMENTS = [
    "--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # The tests run as root, and in containers, which have neither namespaces for Chromium's sandbox
    # nor much shared memory. It sees pages of the tests' own only.
    "--no-sandbox", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP *.example 127.0.0.1, "
    "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
WIDTH, HEIGHT = 1000, 700


class Browser:
    """One Chromium. Between two tests fresh() makes it forget everything."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="djs-chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        options.ignore_local_proxy_environment_variables()
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for argument in [*ARGUMENTS, "--user-data-dir=" + self.folder.name + "/profile"]:
            options.add_argument(argument)
        try:
            self.driver = webdriver.Chrome(options=options, service=Service(
                "/usr/bin/chromedriver", env=dict(os.environ, HOME=self.folder.name)))
            self.driver.set_page_load_timeout(PATIENCE)
        except BaseException:
            self.folder.cleanup()
            raise

    def close(self):
        self.driver.quit()
        self.folder.cleanup()

    def devtools(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def fresh(self):
        """No cookies, nothing in a cache, all settings as they were, an empty page, no way back."""
        self.open("about:blank")
        self.devtools("Page.resetNavigationHistory")
        self.devtools("Network.clearBrowserCookies")
        self.devtools("Network.clearBrowserCache")
        self.scripts(True)
        self.look()
        self.errors()

    # ---- pages --------------------------------------------------------------------------------

    def open(self, url):
        self.driver.get(url)

    @property
    def url(self):
        return self.driver.current_url

    @property
    def title(self):
        return self.driver.title

    @property
    def source(self):
        return self.driver.page_source

    @property
    def text(self):
        """What there is to read."""
        return self.find("body").text

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def find(self, selector):
        found = self.all(selector)
        if not found:
            raise NoSuchElementException("no %s at %s:\n%s" % (selector, self.url, self.text))
        return found[0]

    def fill(self, **fields):
        """By name of the field, as somebody types it."""
        for name, text in fields.items():
            element = self.find("[name=%s]" % name)
            element.clear()
            element.send_keys(text)

    def press(self, selector):
        """Something that another page comes from."""
        with self.another_page():
            self.find(selector).click()

    def back(self):
        with self.another_page():
            self.driver.back()

    @contextlib.contextmanager
    def another_page(self):
        """Ends when one has taken the place of the one that is there now, and is complete."""
        before = self.document()
        yield
        self.wait(lambda _: self.document() != before
                  and self.ask("return document.readyState") == "complete")

    def document(self):
        """What it is called inside the browser. (Elements of a page that goes are no safe thing to ask.)"""
        return self.devtools("Page.getFrameTree")["frameTree"]["frame"]["loaderId"]

    def wait(self, condition):
        wait = WebDriverWait(self.driver, PATIENCE, 0.02, ignored_exceptions=[WebDriverException])
        return wait.until(condition)

    def wait_for_focus(self, name):
        """Until what is typed goes to the field of this name. A page that is shown first has none yet."""
        self.wait(lambda driver: driver.switch_to.active_element.get_attribute("name") == name)

    def ask(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def cookie(self, name):
        """Its value; None when this page's address has none."""
        found = self.driver.get_cookie(name)
        return found["value"] if found else None

    def errors(self):
        """Errors in the console since it was last asked, but for statuses of answers."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE" and entry["source"] != "network"]

    # ---- how it is looked at ------------------------------------------------------------------

    def look(self, width=WIDTH, height=HEIGHT, dark=False, phone=False):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=phone)
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def scripts(self, on):
        self.devtools("Emulation.setScriptExecutionDisabled", value=not on)

    def accessible(self):
        """The page as a screen reader gets it: [(role, name, description, properties)]."""
        told = []
        for node in self.devtools("Accessibility.getFullAXTree")["nodes"]:
            if not node.get("ignored"):
                told.append((*(node.get(what, {}).get("value", "")
                               for what in ("role", "name", "description")),
                             {p["name"]: p["value"].get("value") for p in node["properties"]}))
        return told

    def picture(self):
        """A PNG of what is seen."""
        return self.driver.get_screenshot_as_png()
