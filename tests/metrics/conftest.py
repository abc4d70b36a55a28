"""What the coverage cases found, as one table at the end."""

from typing import Any

from tests.metrics.coverage import HEAD


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for key in ("passed", "failed") for report in terminalreporter.stats.get(key, [])]
    lines = [value for report in reports for name, value in report.user_properties if name == "coverage"]
    if lines:
        terminalreporter.section("coverage of 95 % intervals")
        for line in [HEAD, *lines]:
            terminalreporter.write_line(line)
