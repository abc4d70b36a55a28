"""What a study claims, as checks with a bound: parsed once, refused before a run where they could not be judged.

    {all_full: [B]}                                                 every step ran
    {equal: [A, B]}                                                 kept arrays and pixels of B are those of A, bit for bit
    {anchors_written: [B]}, {forecast_published: [B]}               an audited strategy keeps and forecasts what it should
    {macs: [target, draft], at_least: 4}                            macs(target) / macs(draft); also at_most
    {disjoint: [target, draft], metric: fid}                        draft's interval lies wholly above target's

    {at_least: [real], metric: judge.mean, bound: 0.97}             also at_most; every arm named
    {contains_zero: [real], metric: fid}                            real pictures are no distance away from real ones
    {ratio: [real, target], metric: judge.class, at_least: 0.9}     metric(target) / metric(real); also at_most
    {monotone: [s50, s20, s5], metric: judge.mean, within: 0}       no arm is better than the one before, by more than `within`
    {non_inferior: [dense, stack], metric: judge.mean, margin: 0.01}   stack is worse than dense by less than the margin
    {equivalent: [target, fast], metric: fid, margin: 0.3}             neither worse nor better by as much

Those of the second group are judged by the ends of 95 % intervals. A check holds where all of the interval lies on the right
side of its bound, fails where all of it lies on the wrong one, and is open otherwise: these samples do not tell.
`non_inferior` and `equivalent` look at the difference itself, sample by sample; a margin is in the metric's unit and says how
much worse would not matter. Without a bound in sight, "no difference was seen" is never a verdict.

The more claims a study makes, the likelier one of them holds, or fails, by luck. So each has a p, two-sided, as if the truth
lay at its bound (sdaccel.metrics.decision), and all of a study's honest arms are one family: a check holds or fails only where
its p is at most 0.05 after Holm's correction, too. Beside both p the record holds the margin, the power that so many samples
had for it, and the smallest distance to the bound that they would have shown in 80 of 100 repetitions.

A control goes through the checks of samples that the arm it stands for goes through, or through the one on metrics that it
names, and must fail the one it names (`equal`, `non_inferior judge.mean`), by its own p: every control has to be caught, so
that luck with one does not help. A control whose check stays open is not caught, and not missed either. A study passes where
all its checks hold and all its controls are caught, fails where a check fails or a control passes, and is open otherwise.
"""
