/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * A pair of daemons, one a mirror image of the other, and the hand-over rules
 * between them.  Prefix 0 lives at site 0 and prefix 1 at site 1; each is the
 * primary prefix of the daemon at its site and the secondary one of the other.
 * At Cloudflare each prefix has a managed route to its home, better than the
 * unmanaged route to the other site while its priority is the preferred one.
 *
 * Time goes in rounds.  In each round regions and BGP sessions may change, and
 * then each daemon has one cycle: it observes and decides, and takes the steps
 * of its plan one by one, while the other daemon does what it likes: so the two
 * are up to two rounds apart.
 *
 * What is asserted, after every step and in every round: no prefix is steered
 * to a site that does not announce it, but for what is excused (see
 * excuses()); without STRICT, only if a healthy site does announce it.  And
 * once nothing changes any more: within SETTLE rounds every healthy side
 * announces its prefix and has it steered to itself, and the prefix of a side
 * that is sick is announced by the other and steered there.
 *
 * LAG		by how many rounds a verdict may be late
 * HOLD		how many rounds a region or session stays as it is, at least
 * HANDOVER	rounds of "handover wait"
 * RETURN	rounds of "return-after"; it may take longer
 * UNKNOWNS, FAILURES, RESTARTS, SESSIONS
 *		whether they may be: what cannot be read, steps that fail, for as
 *		long as they like, restarts, sessions that are lost
 * PROMPT	a prefix is not withdrawn as the secondary one while it is
 *		steered here.  The daemon does not look, but relies upon it that
 *		whoever announces his prefix steers it to himself in less time
 *		than hand-over waits
 * CAUTIOUS	rules that the daemon does not have: 1, only two looks running, in
 *		which this side is sick and the other one announces, begin the
 *		steering of state 2; 2, moreover a cycle that reads nothing is an
 *		interruption of what is seen of the secondary prefix
 *
 * Without STRICT the daemon's rules hold as long as no step fails and
 * everything can be read, and without PROMPT, too.  Where a step goes on
 * failing, or nothing is known for long, both daemons may act in the same
 * round: one steers to the other what that one is just withdrawing.  With
 * PROMPT and CAUTIOUS they hold in spite of failures, and with STRICT; with
 * FAILURES and without PROMPT never.
 */

#ifndef LAG
#define LAG 1
#endif
#ifndef HANDOVER
#define HANDOVER 3
#endif
#ifndef UNKNOWNS
#define UNKNOWNS 1
#endif
#ifndef FAILURES
#define FAILURES 1
#endif
#ifndef RETURN
#define RETURN 2
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef SESSIONS
#define SESSIONS 1
#endif
#ifndef PROMPT
#define PROMPT 1
#endif
#ifndef CAUTIOUS
#define CAUTIOUS 0
#endif
#ifndef STRICT
#define STRICT 1
#endif
#ifndef HOLD
#define HOLD (LAG + 1)
#endif
#define SETTLE (RETURN + HANDOVER)

#define NO	0
#define YES	1
#define UNKNOWN 2

/* The world. */
bool healthy[2] = true;	  /* the region of a site */
bool session[2] = true;	  /* of its router with Cloudflare */
byte age[4];		  /* rounds since that changed */
bool announced[4];	  /* site * 2 + prefix: what its router is told */
bool preferred[2] = true; /* the managed route of a prefix */

/* Daemon * 4 + local, remote, local BGP, remote BGP, as it knows them. */
byte verdict[8] = YES;
byte late[8];
byte current[2] = 1;
byte read[2];
byte ones[2];	   /* rounds in which state 1 was read, up to RETURN */
byte waited[2];	   /* rounds in state 2 */
byte looks[2];	   /* running, at what was taken over (CAUTIOUS) */
bool taken[2];	   /* the remote side announced our primary prefix */
bool stuck[2];	   /* gave up waiting for that */
bool running[2];   /* the remote side announces our secondary prefix ... */
byte seen[2];	   /* ... for so many rounds */
bool may_act[2];
bool keep[2];	   /* the secondary prefix */

/* The schedule. */
byte turn;	   /* daemons that have not finished the round */
bool go[2];
bool stable;	   /* nothing changes or fails any more */
byte settling;
bool excused;

#define site_of(p)	(preferred[p] -> p : 1 - p)
#define told(s, p)	announced[(s) * 2 + (p)]
#define steered_well(p) told(site_of(p), p)
#define usable(s, p)	(healthy[s] && session[s] && told(s, p))
#if STRICT
#define lost(p) (!steered_well(p))
#else
#define lost(p) (!steered_well(p) && (usable(0, p) || usable(1, p)))
#endif

/* States 4, 5 and 8 steer by contract to a side that need not announce. */
#define row_excused(d) (current[d] == 4 || current[d] == 5 || current[d] == 8)
#define exceptional                                                        \
	(!session[0] || !session[1] || stuck[0] || stuck[1] ||             \
	    row_excused(0) || row_excused(1))

#define keeps_both(state) ((state) == 3 || (state) == 6 || (state) == 7)
#define preferred_in(state) ((state) == 1 || keeps_both(state))

/* Has the daemon done what its state asks for, of its own prefix? */
#define as_wanted(d)                                                       \
	(steered_well(d) && preferred[d] == preferred_in(current[d]) &&     \
	    told(d, d) == (current[d] != 2))

/* What is excused is excused until the world is as it should be again. */
inline excuses()
{
	if
	:: exceptional -> excused = true
	:: !exceptional && as_wanted(0) && as_wanted(1) -> excused = false
	:: else
	fi
}

inline check()
{
	excuses();
	assert(excused || (!lost(0) && !lost(1)))
}

inline set_verdict(i, fact)
{
	if
	:: verdict[i] = fact; late[i] = 0
	:: !stable && verdict[i] != fact && verdict[i] != UNKNOWN &&
	    late[i] < LAG -> late[i]++
	fi
}

inline observe(d)
{
	set_verdict(d * 4 + 0, healthy[d]);
	set_verdict(d * 4 + 1, healthy[1 - d]);
	set_verdict(d * 4 + 2, session[d]);
	set_verdict(d * 4 + 3, session[1 - d]);
	if
	:: true
#if UNKNOWNS
	:: !stable -> verdict[d * 4 + 0] = UNKNOWN
	:: !stable -> verdict[d * 4 + 1] = UNKNOWN
	:: !stable -> verdict[d * 4 + 3] = UNKNOWN
#endif
	fi;
	/* The local verdict includes the local router's sessions. */
	if
	:: verdict[d * 4 + 0] == NO || verdict[d * 4 + 2] == NO -> l = NO
	:: verdict[d * 4 + 0] == YES && verdict[d * 4 + 2] == YES -> l = YES
	:: else -> l = UNKNOWN
	fi;
	r = verdict[d * 4 + 1];
	b = verdict[d * 4 + 3];
	if
	:: l == YES && r == YES && b == YES -> read[d] = 1
	:: l == NO && r == YES && b == YES -> read[d] = 2
	:: l == YES && r == NO && b != NO -> read[d] = 3
	:: l == NO && r == NO && b != NO -> read[d] = 4
	:: l == NO && r != NO && b == NO -> read[d] = 5
	:: l == YES && r != NO && b == NO -> read[d] = 6
	:: l == YES && r == NO && b == NO -> read[d] = 7
	:: l == NO && r == NO && b == NO -> read[d] = 8
	:: else -> read[d] = 0
	fi
}

inline enter(d, state)
{
	if
	:: !keeps_both(state) -> running[d] = false
	:: else
	fi;
	printf("daemon %d: %d -> %d\n", d, current[d], state);
	current[d] = state;
	waited[d] = 0;
	taken[d] = false;
	stuck[d] = false
}

inline decide(d)
{
	/* Return-after: for so long state 1 has been read. */
	if
	:: read[d] == 1 && current[d] != 1 && ones[d] < RETURN -> ones[d]++
	:: (read[d] != 1 && read[d] != 0) || current[d] == 1 -> ones[d] = 0
	:: else
	fi;
	if
	:: read[d] > 1 && read[d] != current[d] -> enter(d, read[d])
	:: read[d] == 1 && current[d] != 1 && ones[d] == RETURN ->
		enter(d, 1);
		ones[d] = 0
	/* It may be longer there, and there is the brake. */
	:: read[d] == 1 && current[d] != 1 && !stable
	:: else
	fi
}

/* Does the remote router's status show the prefix?  It may not be readable. */
inline look(who, which)
{
	if
	:: a = told(1 - who, which) && session[1 - who]
#if UNKNOWNS
	:: !stable -> a = UNKNOWN
#endif
	fi
}

inline hand_over(d)
{
	look(d, d);
	wait = false;
	if
	:: current[d] == 2 ->
		if
		:: a == YES && read[d] == 2 -> taken[d] = true
		:: a == NO -> taken[d] = false
		:: else
		fi;
		if
		:: !taken[d] && waited[d] >= HANDOVER && read[d] == 2 ->
			stuck[d] = true
		:: else
		fi;
		if
		:: waited[d] < HANDOVER -> waited[d]++
		:: else
		fi;
		wait = !taken[d] && !stuck[d]
	:: else
	fi;
	may_act[d] = read[d] != 0 && !wait;
#if CAUTIOUS
	/* To begin with steering takes two looks running, in which this side is
	 * sick and the other one announces: one alone may see what is just
	 * being taken back. */
	if
	:: current[d] == 2 && read[d] == 2 && a == YES && looks[d] < 2 ->
		looks[d]++
	:: current[d] == 2 && read[d] == 2 && a == YES && looks[d] == 2
	:: current[d] != 2 || read[d] != 2 || a != YES -> looks[d] = 0
	fi;
	may_act[d] = may_act[d] && (current[d] != 2 || stuck[d] ||
	    looks[d] == 2 || !preferred[d]);
#endif

	look(d, 1 - d);
	if
	:: a == YES && !running[d] -> running[d] = true; seen[d] = 0
	:: a == YES && running[d] && seen[d] < HANDOVER -> seen[d]++
	:: a == YES && running[d] && seen[d] == HANDOVER
	:: a != YES -> running[d] = false; seen[d] = 0
	fi;
#if CAUTIOUS > 1
	/* What has been seen while nothing was known is no reason. */
	if
	:: read[d] == 0 -> running[d] = false; seen[d] = 0
	:: else
	fi;
#endif
	keep[d] = !running[d] || seen[d] < HANDOVER ||
	    (PROMPT && !preferred[1 - d]);
	a = 0
}

/* A step that fails stops the rest until the next cycle. */
inline may_fail()
{
	if
	:: failed = false
#if FAILURES
	:: !stable -> failed = true
#endif
	fi
}

/* One PATCH of the local router: what may change now. */
inline to_router(d, primary, secondary)
{
	may_fail();
	if
	:: failed -> printf("daemon %d: the router fails\n", d)
	:: else ->
		printf("daemon %d: primary %d, secondary %d\n", d, primary,
		    secondary);
		told(d, d) = (primary == UNKNOWN -> told(d, d) : primary);
		told(d, 1 - d) =
		    (secondary == UNKNOWN -> told(d, 1 - d) : secondary)
	fi;
	check()
}

inline to_routes(d, to)
{
	may_fail();
	if
	:: failed -> printf("daemon %d: steering fails\n", d)
	:: else ->
		printf("daemon %d: prefix %d preferred %d\n", d, d, to);
		preferred[d] = to
	fi;
	check()
}

proctype daemon(byte d)
{
	byte l, r, b, a;
	bool wait, failed;

round:
	atomic {
		go[d];
		go[d] = false;
		observe(d);
		decide(d);
		hand_over(d);
		excuses();
		printf("daemon %d: reads %d, in %d, may act %d, keeps %d\n", d,
		    read[d], current[d], may_act[d], keep[d]);
		l = 0;
		r = 0;
		b = 0;
		failed = false
	};
	if
	:: !may_act[d]
	:: may_act[d] && preferred_in(current[d]) ->
		/* Announce, until it is seen; then steer. */
		atomic {
			to_router(d, YES,
			    (keeps_both(current[d]) -> YES :
				(keep[d] -> UNKNOWN : NO)));
			failed = failed || !session[d]
		};
		if
		:: failed
		:: else ->
			atomic { to_routes(d, true) }
		fi
	:: may_act[d] && !preferred_in(current[d]) ->
		/* Steer away; then withdraw. */
		if
		:: current[d] != 2 ->
			atomic { to_router(d, YES, UNKNOWN) }
		:: else
		fi;
		if
		:: failed
		:: else ->
			atomic { to_routes(d, false) }
		fi;
		if
		:: failed
		:: else ->
			atomic {
				to_router(d, (current[d] == 2 -> NO : UNKNOWN),
				    (keep[d] -> UNKNOWN : NO))
			}
		fi
	fi;
	atomic {
		failed = false;
		wait = false;
		turn--
	};
	goto round
}

inline change(x, i)
{
	if
	:: age[i] < HOLD -> age[i]++
	:: age[i] == HOLD
	:: age[i] == HOLD -> x = !x; age[i] = 0
	fi
}

/* A daemon that starts again knows its state, and nothing of hand-over. */
inline restart(d)
{
	if
	:: true
#if RESTARTS
	:: true ->
		ones[d] = 0;
		taken[d] = false;
		looks[d] = 0;
		stuck[d] = false;
		running[d] = false;
		seen[d] = 0;
		verdict[d * 4 + 0] = UNKNOWN;
		verdict[d * 4 + 1] = UNKNOWN;
		verdict[d * 4 + 2] = UNKNOWN;
		verdict[d * 4 + 3] = UNKNOWN
#endif
	fi
}

#define well(s) (healthy[s] && session[s])

/* A healthy side announces its prefix and has it; and the other's if that is
 * not. */
inline arrived()
{
	assert(!well(0) || (told(0, 0) && preferred[0]));
	assert(!well(1) || (told(1, 1) && preferred[1]));
	assert(well(0) || !well(1) || (told(1, 0) && !preferred[0]));
	assert(well(1) || !well(0) || (told(0, 1) && !preferred[1]));
	assert(!well(0) || !well(1) || current[0] == 1 && current[1] == 1);
	assert(steered_well(0) && steered_well(1) || !well(0) && !well(1))
}

init
{
	atomic {
		told(0, 0) = true;
		told(1, 1) = true;
		run daemon(0);
		run daemon(1)
	};
	do
	:: atomic {
		turn == 0;
		check();
		if
		:: !stable ->
			change(healthy[0], 0);
			change(healthy[1], 1);
#if SESSIONS
			change(session[0], 2);
			change(session[1], 3);
#endif
			restart(0);
			restart(1);
			if
			:: true
			:: stable = true
			fi
		:: else ->
			if
			:: settling < SETTLE -> settling++
			:: else -> arrived()
			fi
		fi;
		excuses();
		printf("round: healthy %d %d, sessions %d %d, stable %d\n",
		    healthy[0], healthy[1], session[0], session[1], stable);
		turn = 2;
		go[0] = true;
		go[1] = true
	   }
	od
}
