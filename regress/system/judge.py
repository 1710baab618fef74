# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Judges what a pair of daemons did, by what the clouds have seen of it: the
journal and the holes.  The daemons' own events say only what nobody else can
know: what they had read, and in which row of the table they were; and a row is
an excuse only where the world was so."""

import copy

import checks
from harness import ACCOUNT, PROJECT, SIDES, X, Y

OTHER = {"A": "B", "B": "A"}
HOME = {X: "A", Y: "B"}
SIDE_OF = {what["local_router"]: side for side, what in SIDES.items()}
SIDE_OF |= {what["local"]: side for side, what in SIDES.items()}
SIDE_OF |= {what["match"]: side for side, what in SIDES.items()}

INTERVAL = 0.2
UNKNOWN_AFTER = 2
# From a change in the clouds until a decision that rests upon it: a window of
# three samples, and cycles that take long because calls fail.
REACTION = 3.0
# From our reading of what is to be written until it is written.
UNDER_WAY = 1.5
# The clocks agree, but what is written at the same time has any order.
SLACK = 0.05


class Line:
    """A value that changes in time."""

    def __init__(self, first):
        self.changes = [(0.0, first)]

    def add(self, t, value):
        if self.changes[-1][1] != value:
            self.changes.append((t, value))

    def at(self, t):
        return [value for when, value in self.changes if when <= t][-1]

    def since(self, t):
        """Since when it has had the value that it has at t."""
        return [when for when, _ in self.changes if when <= t][-1]

    def within(self, start, end):
        """All values that it had then."""
        return {self.at(start)} | {value for when, value in self.changes
                                   if start <= when <= end}


def merged(value, patch):
    """A JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    value = dict(value) if isinstance(value, dict) else {}
    for key, one in patch.items():
        if one is None:
            value.pop(key, None)
        else:
            value[key] = merged(value.get(key), one)
    return value


def is_write(entry):
    return entry.get("method") in ("PATCH", "PUT") and \
        "validate_only" not in entry["query"]


def writer(entry):
    """Whose write it is."""
    if entry["method"] == "PATCH":
        return SIDE_OF[entry["path"].rsplit("/", 1)[1]]
    sides = {side for one in entry["request"]["routes"]
             for match, side in SIDE_OF.items()
             if match == one["description"]}
    assert len(sides) == 1, entry
    return sides.pop()


class Judge:
    def __init__(self, record, script):
        self.record = record
        self.script = script
        self.journal = record["journal"]
        self.events = record["events"]
        self.lives = record["lives"]
        self.lag = (script.settings["advert_lag_ms"]
                    + script.settings["op_delay_ms"]) / 1000
        self.read_world()
        self.read_writes()
        self.read_daemons()

    def read_world(self):
        """Regions, sessions and announcements as they were in time."""
        self.healthy = {side: Line(True) for side in "AB"}
        self.session = {side: Line(True) for side in "AB"}
        self.told = {(side, prefix): Line(HOME[prefix] == side)
                     for side in "AB" for prefix in (X, Y)}
        self.away = {prefix: Line(False) for prefix in (X, Y)}
        up = {side: {} for side in "AB"}
        for entry in self.journal:
            event, t = entry.get("event"), entry["t"]
            if event == "health":
                self.healthy[SIDE_OF[entry["region"]]].add(
                    t, entry["state"] == "HEALTHY")
            elif event == "bgp":
                side = SIDE_OF[entry["router"].rsplit("/", 1)[1]]
                up[side][entry["peer"]] = entry["to"] == "UP"
                self.session[side].add(t, len(up[side]) < 2
                                       or any(up[side].values()))
            elif event == "route_priority" and entry["description"] in SIDE_OF:
                self.away[entry["prefix"]].add(t, entry["to"] > 150)
            elif event in ("advertised", "withdrawn"):
                side = SIDE_OF[entry["router"].rsplit("/", 1)[1]]
                if entry["prefix"] in HOME:
                    self.told[side, entry["prefix"]].add(
                        t, event == "advertised")

    def read_writes(self):
        """Who put a prefix into the ranges of a router and who took it out,
        and when that was asked for and done: [asked, done, there, who]."""
        self.ranges = {key: [[0.0, 0.0, HOME[key[1]] == key[0], "first"]]
                       for key in self.told}
        done = {entry["name"]: entry["t"] for entry in self.journal
                if entry.get("event") == "operation" and not entry["error"]}
        for entry in self.journal:
            if entry.get("event") == "world":
                self.read_foreign(entry)
            elif entry.get("method") == "PATCH":
                name = (entry.get("response") or {}).get("name")
                if name in done:
                    self.range_write(writer(entry), entry["t"], done[name],
                                     entry["request"]["bgp"], "daemon")
        for changes in self.ranges.values():
            changes.sort(key=lambda change: change[1])

    def read_foreign(self, entry):
        regions = entry["patch"].get("projects", {}).get(
            PROJECT, {}).get("regions", {})
        for region, what in regions.items():
            for router in what.get("routers", {}).values():
                if "bgp" in router:
                    self.range_write(SIDE_OF[region], entry["t"], entry["t"],
                                     router["bgp"], "foreign")

    def range_write(self, side, asked, done, bgp, who):
        for prefix in HOME:
            self.ranges[side, prefix].append(
                [asked, done, checks.advertises(bgp, prefix), who])

    def last_taken(self, side, prefix, t):
        """The change that took the prefix out of the ranges, last before t."""
        changes = [one for one in self.ranges[side, prefix] if one[1] <= t]
        taken = None
        for before, one in zip(changes, changes[1:]):
            if before[2] and not one[2]:
                taken = one
        return taken

    def read_daemons(self):
        self.cycles = {}
        self.row, self.bound = {}, {}
        for side in "AB":
            self.row[side] = Line(0)
            self.cycles[side] = []
            self.bound[side] = []  # when it was held or passive
            for event in self.events[side]:
                details, t = event["details"], event["timestamp"]
                if event["event_type"] == "state_transition":
                    self.row[side].add(t, details["new_state"])
                    # Acted upon before the cycle's own event is written.
                    self.cycles[side].append((t, details["new_state"]))
                elif event["event_type"] == "health_check_cycle":
                    self.row[side].add(t, details["current_state"])
                    self.cycles[side].append((t, details["state_code"]))
                    if details["held"] or details["passive_mode"]:
                        self.bound[side].append(t)

    def runs(self, side, t):
        return any(start <= t and (end is None or t <= end)
                   for start, end in self.lives[side])

    def life(self, side, t):
        """When the daemon that ran then was started."""
        return max(start for start, _ in self.lives[side] if start <= t)

    # The holes.

    def holes(self):
        """Every hole with its excuse, or None."""
        return [(hole, self.excuse(hole))
                for hole in self.record["clockwork"]["holes"]]

    def excuse(self, hole):
        for name in ("initial", "session", "row", "stuck", "foreign",
                     "absent", "prompt"):
            if getattr(self, "excuse_" + name)(hole):
                return name
        return None

    def excuse_initial(self, hole):
        """It was there before anything began."""
        return hole["cause"] == "initial"

    def excuse_session(self, hole):
        """The sessions of the site that has the prefix are lost, or were so
        shortly before it was steered there that nobody could know."""
        if hole["cause"] == "bgp":
            return True
        session, t = self.session[hole["site"]], hole["from"]
        return hole["cause"] == "steer" and not session.at(t) and \
            t - session.since(t) < REACTION

    def was_so(self, side, state, t):
        """Was there reason to read such a row, a while before t?  Each part
        of it for itself: what is not known keeps its verdict."""
        read = [when for when, code in self.cycles[side]
                if code == state and when <= t + SLACK]
        if not read:
            return False
        start, end = read[-1] - UNKNOWN_AFTER - REACTION, read[-1]
        other = OTHER[side]
        local = False in self.healthy[side].within(start, end) or \
            False in self.session[side].within(start, end)
        remote = self.healthy[other].within(start, end)
        bgp = self.session[other].within(start, end)
        return local and {4: False in remote, 5: False in bgp,
                          8: False in remote and False in bgp}[state]

    def excuse_row(self, hole):
        """Rows 4, 5 and 8 of the home's daemon steer by contract to a side
        that need not announce the prefix."""
        home, t = HOME[hole["prefix"]], hole["from"]
        state = self.row[home].at(t)
        return hole["site"] != home and state in (4, 5, 8) and \
            self.was_so(home, state, t)

    def excuse_stuck(self, hole):
        """The home's daemon has waited in vain for the other side, has said so
        and acted without it, as the contract has it."""
        home, t = HOME[hole["prefix"]], hole["from"]
        if hole["site"] == home or self.row[home].at(t) != 2:
            return False
        since = self.row[home].since(t)
        return any(event["event_type"] == "handover_stuck"
                   and since + self.script.handover - INTERVAL
                   <= event["timestamp"] <= t + SLACK
                   for event in self.events[home])

    def excuse_foreign(self, hole):
        """Another writer took the prefix out of the router, or gave the route
        another priority."""
        taken = self.last_taken(hole["site"], hole["prefix"], hole["from"])
        if taken and taken[3] == "foreign":
            return True
        steered = [entry for entry in self.journal
                   if entry.get("event") == "route_priority"
                   and entry["prefix"] == hole["prefix"]
                   and entry["t"] <= hole["from"]]
        return hole["cause"] == "steer" and steered[-1]["by"] != "put"

    def taken_over(self, hole):
        """The other side gave up its secondary prefix, when its home had been
        announcing it for long enough: what [start, asked] of that is, or
        None."""
        home, site = HOME[hole["prefix"]], hole["site"]
        taken = self.last_taken(site, hole["prefix"], hole["from"])
        if site == home or taken is None or hole["cause"] != "withdraw":
            return None
        told = self.told[home, hole["prefix"]]
        if not told.at(taken[0]) or \
                taken[0] - told.since(taken[0]) < self.script.handover - SLACK:
            return None
        return max(told.since(taken[0]), 0), taken[0]

    def excuse_absent(self, hole):
        """The home announces its prefix, so the other side lets go of it; but
        the home's daemon does not run and cannot steer it back."""
        return self.taken_over(hole) is not None and \
            not self.runs(HOME[hole["prefix"]], hole["from"])

    def excuse_prompt(self, hole):
        """The same, but the home's daemon could not steer it back in the time
        that hand-over waits, because of what it could not read or write, or
        was started meanwhile."""
        home, over = HOME[hole["prefix"]], self.taken_over(hole)
        if over is None:
            return False
        start, end = max(over[0], over[1] - 10), hole["from"]
        if any(start <= began <= end for began, _ in self.lives[home]):
            return True
        if any(code == 0 for t, code in self.cycles[home]
               if start <= t <= end):
            return True
        # It is held or passive, or has just been so.
        if any(start - UNDER_WAY <= t <= end for t in self.bound[home]):
            return True
        return any(entry.get("fault") and start <= entry["t"] <= end
                   and entry.get("scope") in ("cloudflare", "compute")
                   for entry in self.journal)

    # What was written on what had been read.

    def blind_writes(self):
        """Writes that began when the daemon's newest cycle had read state 0,
        or none had ended since its start."""
        found = []
        for entry in self.journal:
            if is_write(entry):
                side, t = writer(entry), entry["t"]
                start = self.life(side, t)
                cycles = [one for one in self.cycles[side]
                          if start <= one[0] <= t]
                if not cycles or cycles[-1][1] == 0:
                    found.append((side, t, cycles[-1:], entry))
        return found

    # What was given up.

    def given_up(self):
        """Every request that took a prefix out of a router: [side, prefix,
        when]."""
        for (side, prefix), changes in self.ranges.items():
            for before, one in zip(changes, changes[1:]):
                if before[2] and not one[2] and one[3] == "daemon":
                    yield side, prefix, one[0]

    def too_early(self):
        """What was given up before the other side had it: the secondary prefix
        before its home had announced it for long enough, the primary one
        before, or too soon after, it was steered away."""
        found = []
        for side, prefix, t in self.given_up():
            home = HOME[prefix]
            line, least = self.told[home, prefix], self.script.handover
            if side == home:
                line, least = self.away[prefix], self.script.drain
            if not line.at(t) or t - line.since(t) < least - SLACK:
                found.append((side, prefix, t, line.at(t),
                              t - line.since(t)))
        return found

    # What is not theirs.

    def foreign(self):
        """The world without what is theirs, as it should be in the end and as
        it is, where they differ."""
        wanted = self.record["first"]
        found = copy.deepcopy(self.record["last"])
        for entry in self.journal:
            if entry.get("by") == "foreign_write" and "patch" in entry:
                wanted = merged(wanted, entry["patch"])
        for entry in self.journal:
            if entry.get("by") == "foreign_write" and "patch" in entry:
                self.forget_undone(entry, wanted, found)
        wanted, found = (checks.not_ours(checks.not_ours(world, "A"), "B")
                         for world in (wanted, found))
        return [] if wanted == found else [(wanted, found)]

    def forget_undone(self, entry, *worlds):
        """Routers and routes have no fingerprint: what another program writes
        between our reading and the end of our writing is lost, and neither
        side can know."""
        for side in self.undone(entry, "ranges"):
            theirs = entry["patch"]["projects"][PROJECT]["regions"][
                SIDES[side]["local"]]["routers"][SIDES[side]["local_router"]][
                    "bgp"]["advertisedIpRanges"][-1]
            for world in worlds:
                bgp = world["projects"][PROJECT]["regions"][
                    SIDES[side]["local"]]["routers"][
                        SIDES[side]["local_router"]]["bgp"]
                bgp["advertisedIpRanges"] = [
                    one for one in bgp["advertisedIpRanges"] if one != theirs]
        for side in self.undone(entry, "routes"):
            for world in worlds:
                for one in world["cloudflare"]["accounts"][ACCOUNT]["routes"]:
                    if one["description"] == SIDES[side]["match"]:
                        one.pop("weight", None)

    def undone(self, entry, what):
        """The sides whose writes may have undone this one."""
        if what == "ranges":
            regions = entry["patch"].get("projects", {}).get(
                PROJECT, {}).get("regions", {})
            return [SIDE_OF[region] for region, one in regions.items()
                    if "bgp" in one["routers"].get(
                        SIDES[SIDE_OF[region]]["local_router"], {})
                    and any(asked - UNDER_WAY <= entry["t"] <= done
                            for asked, done, _, who in self.ranges[
                                SIDE_OF[region], X] if who == "daemon")]
        return [side for side in "AB" if "cloudflare" in entry["patch"]
                and any(is_write(one) and one["method"] == "PUT"
                        and writer(one) == side
                        and 0 <= one["t"] - entry["t"] <= UNDER_WAY
                        for one in self.journal)]

    # All of it.

    def verdict(self):
        """What is wrong."""
        wrong = [f"a hole without excuse: {hole}"
                 for hole, excuse in self.holes() if excuse is None]
        wrong += [f"a blind write: {one}" for one in self.blind_writes()]
        wrong += [f"given up too early: {one}" for one in self.too_early()]
        wrong += [f"something foreign: should be {one[0]}, is {one[1]}"
                  for one in self.foreign()]
        try:
            checks.check_journal(self.journal)
        except AssertionError as error:
            wrong.append(f"a request that must not be: {error}")
        return wrong

    def story(self):
        """What happened, one line for each thing worth telling."""
        told = [(entry["t"], "", self.told_entry(entry))
                for entry in self.journal]
        for side in "AB":
            read = None
            for event in self.events[side]:
                details, t = event["details"], event["timestamp"]
                text = None
                if event["event_type"] == "health_check_cycle":
                    if read != details["state_code"]:
                        read = details["state_code"]
                        text = f"reads {read}"
                elif event["event_type"] in ("state_transition",
                                             "handover_stuck", "contested",
                                             "drift_repaired"):
                    text = f"{event['event_type']} " + str(
                        details.get("new_state", ""))
                elif event["operation"] in ("startup", "shutdown"):
                    text = event["operation"]
                told.append((t, side, text))
        start = self.journal[0]["t"]
        return "\n".join(f"{t - start:8.3f} {side} {text}"
                         for t, side, text in sorted(
                             told, key=lambda one: one[0]) if text)

    def told_entry(self, entry):
        if is_write(entry):
            what = [one["range"] for one in
                    entry["request"]["bgp"]["advertisedIpRanges"]] \
                if entry["method"] == "PATCH" else \
                [one["priority"] for one in entry["request"]["routes"]]
            fault = (entry.get("fault") or {}).get("action", "")
            return f"{writer(entry)} writes {what}: {entry['status']} {fault}"
        if entry.get("event") in (None, "dns"):
            return None
        return " ".join(str(value)[:100] for key, value in entry.items()
                        if key not in ("seq", "t", "t_mono_ms", "id"))
