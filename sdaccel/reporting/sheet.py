"""The style sheet of reports/index.html."""

SHEET = """\
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 62rem; margin: 2rem auto 6rem; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: .3rem 0 .8rem; }
h3 { font-size: 1rem; margin: 1.8rem 0 .5rem; }
a { color: #0059b3; }
section { border-top: 1px solid #d8d8d8; margin-top: 2.5rem; padding-top: 1.2rem; }
code, pre { font: 13px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: #f5f5f5; padding: .6rem .8rem; overflow-x: auto; border-radius: 4px; }
.quiet { color: #5f5f5f; font-size: .87rem; }
.badge { display: inline-block; padding: .05rem .55rem; border-radius: 1rem; font-size: .8rem; font-weight: 600;
  white-space: nowrap; background: #eee; color: #444; }
.pass { background: #dff2e8; color: #00593f; }
.fail { background: #fbe3d6; color: #8f3b00; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; }
th { text-align: left; font-weight: 600; border-bottom: 1.5px solid #1a1a1a; }
th, td { padding: .2rem .9rem .2rem 0; vertical-align: top; }
td { border-bottom: 1px solid #ececec; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; }
.strip th, .strip td { border: 0; padding: .3rem 1.1rem .3rem 0; }
.strip th { width: 11rem; font-weight: 400; }
.strip img { display: block; }
.strip.across th { width: auto; max-width: 8rem; padding-right: .4rem; font-size: .8rem; line-height: 1.25;
  vertical-align: bottom; }
.strip.across td { padding: .1rem .25rem .1rem 0; }
.strip.across tr:not(:first-child) th { vertical-align: middle; min-width: 6rem; }
.interval { white-space: nowrap; }
.bleed .number { padding-right: .6rem; }
.curves { display: flex; flex-wrap: wrap; gap: 0 1rem; }
.bleed { overflow-x: auto; width: min(80rem, 100vw - 2.5rem); }
.crisp { image-rendering: pixelated; }
summary { cursor: pointer; }
"""
