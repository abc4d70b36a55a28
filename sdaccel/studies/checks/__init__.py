"""What a study claims, as checks with a bound: parsed once, refused before a run where they could not be judged.

    {all_full: [B]}                                                 every step ran
    {equal: [A, B]}                                                 kept arrays and pixels of B are those of A, bit for bit
    {anchors_written: [B]}, {forecast_published: [B]}               an audited strategy keeps and forecasts what it should
    {at_least: [real], metric: judge.mean, bound: 0.97}             also at_most; every arm named
    {contains_zero: [real], metric: fid}                            real pictures are no distance away from real ones
    {ratio: [real, target], metric: judge.class, at_least: 0.9}     metric(target) / metric(real); also at_most
    {disjoint: [target, draft], metric: fid}                        draft's interval lies wholly above target's
    {equivalent: [target, fast], metric: fid, within: 0.05}         fast's fid_difference, interval and all, within 5 % of fid
    {monotone: [s50, s20, s5], metric: judge.mean, within: 0}       no arm is better than the one before, by more than `within`
    {no_worse: [dense, stack], metric: judge.mean}                  stack is not beyond the worse end of dense's interval
    {macs: [target, draft], at_least: 4}                            macs(target) / macs(draft); also at_most

A check is a class with `validate` and `judge`, registered by name and found by import. A control goes through the checks of
samples that the arm it stands for goes through, or through the one on metrics that it names, and must fail the one it names
(`equal`, `no_worse judge.mean`). Where there are too few samples for a metric or its interval a check stays open: it neither
holds nor fails.
"""
