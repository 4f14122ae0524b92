# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""A Chromium for tests that tells everything it complains about.

It is Debian's, with its own driver; nothing is downloaded. Where it is not
installed the test is skipped, unless OSLO_TRACING_NO_SKIP says that it must
be there.
"""

from __future__ import annotations

import json
import logging
import shutil

import fixtures
from selenium import webdriver
from selenium.webdriver.chrome import service

from oslo_tracing.tests.functional import servers

_ARGUMENTS = (
    '--headless',
    # The tests may run as root, where Chromium's sandbox does not.
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--window-size=1280,900',
)

# Runs before any script of a page, outside of the page's own world.
_LISTEN = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


class Browser(fixtures.Fixture):
    """A Chromium with a profile of its own.

    :param test: skipped where there is no Chromium.
    """

    def __init__(self, test):
        super().__init__()
        self._test = test

    def _setUp(self):
        program = shutil.which('chromium')
        driver = shutil.which('chromedriver')
        servers.must_be_there(self._test, program and driver, 'chromium')
        # Each answer of the browser in full hides what a test has to say.
        for name in ('selenium', 'urllib3'):
            logger = logging.getLogger(name)
            self.addCleanup(logger.setLevel, logger.level)
            logger.setLevel(logging.WARNING)
        profile = self.useFixture(fixtures.TempDir()).path
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for argument in (*_ARGUMENTS, f'--user-data-dir={profile}'):
            options.add_argument(argument)
        options.set_capability(
            'goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'}
        )
        self.driver = webdriver.Chrome(
            options=options, service=service.Service(driver)
        )
        self.addCleanup(self.driver.quit)
        self.driver.set_script_timeout(60)
        self.driver.execute_cdp_cmd(
            'Page.addScriptToEvaluateOnNewDocument', {'source': _LISTEN}
        )

    def complaints(self):
        """Return what the console says, and what the policy refused."""
        told = [each['message'] for each in self.driver.get_log('browser')]
        return told + self.driver.execute_script('return window.violations')

    def requests(self):
        """Return the addresses that were asked for since last time."""
        found = []
        for entry in self.driver.get_log('performance'):
            message = json.loads(entry['message'])['message']
            if message['method'] == 'Network.requestWillBeSent':
                found.append(message['params']['request']['url'])
        return found
