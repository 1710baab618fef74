/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * What the administrator may order of a failover: hold, force, release, ack.
 * Orders outlive a restart; their ends are times of the wall clock.
 */

/* Copy the reason, and cut it between two characters if it is too long. */
static void
order_reason(struct order *order, const char *reason)
{
	size_t len = strlcpy(order->reason, reason, sizeof(order->reason));

	if (len < sizeof(order->reason))
		return;
	len = sizeof(order->reason) - 1;
	while (len > 0 && ((unsigned char)reason[len] & 0xc0) == 0x80)
		len--;
	order->reason[len] = '\0';
}

static void
order_give(struct order *order, int64_t seconds, const char *reason)
{
	memset(order, 0, sizeof(*order));
	order->given = true;
	if (seconds > 0)
		order->until = wall_ms() + seconds * 1000;
	order_reason(order, reason);
}

/* Orders have changed: they are written down, and obeyed at once. */
static void
orders_changed(struct failover *failover)
{
	statefile_dirty(failover);
	engine_orders(failover);
}

/* Begin no new step for so many seconds, 0: until released. */
void
operator_hold(struct failover *failover, int64_t seconds, const char *reason)
{
	order_give(&failover->hold, seconds, reason);
	log_info("%s: held%s%s", failover->conf->name,
	    *reason == '\0' ? "" : ": ", reason);
	orders_changed(failover);
}

/*
 * Act as that state, 1 to 8, for so many seconds, 0: until released, whatever
 * is computed or known.  A state that takes our primary prefix away is refused
 * unless the remote side is seen announcing it, or anyway.  Returns -1 and
 * says why not.
 */
int
operator_force(struct failover *failover, int state, int64_t seconds,
    bool anyway, const char *reason, char *why, size_t len)
{
	const struct actions *actions;
	char prefix[PREFIX_LEN];

	if (state < 1 || state > STATE_MAX) {
		snprintf(why, len, "expected a state from 1 to %d, not %d",
		    STATE_MAX, state);
		return (-1);
	}
	actions = &failover->conf->policy.table[state];
	if (actions->prefix[PRIMARY] == ADVERT_WITHDRAW && !anyway &&
	    failover->sample.remote_announces[PRIMARY] != V_YES) {
		prefix_text(&failover->conf->prefix[PRIMARY], prefix,
		    sizeof(prefix));
		snprintf(why, len,
		    "state %d withdraws %s, which the remote "
		    "side is not seen to announce: say \"anyway\" to do so "
		    "all the same",
		    state, prefix);
		return (-1);
	}
	order_give(&failover->force, seconds, reason);
	failover->force_state = state;
	log_info("%s: forced to act as state %d%s%s", failover->conf->name,
	    state, *reason == '\0' ? "" : ": ", reason);
	orders_changed(failover);
	return (0);
}

/* End hold and force. */
void
operator_release(struct failover *failover)
{
	memset(&failover->hold, 0, sizeof(failover->hold));
	memset(&failover->force, 0, sizeof(failover->force));
	log_info("%s: released", failover->conf->name);
	orders_changed(failover);
}

/* Let go of the brake, and of what is contested. */
void
operator_ack(struct failover *failover)
{
	int object;

	machine_ack(&failover->machine);
	failover->acknowledged = true;
	for (object = 0; object < OBJECTS; object++)
		drift_forget(&failover->drift[object]);
	log_info("%s: acknowledged", failover->conf->name);
	orders_changed(failover);
}

/* Is the order in force now?  One whose time is over is forgotten. */
static bool
order_stands(struct failover *failover, struct order *order, const char *what)
{
	if (order->given && order->until != 0 && wall_ms() >= order->until) {
		memset(order, 0, sizeof(*order));
		log_info("%s: %s has come to its end", failover->conf->name,
		    what);
		statefile_dirty(failover);
	}
	return (order->given);
}

/* Bring failover->orders up to date: an order may have come to its end. */
void
operator_orders(struct failover *failover)
{
	failover->orders.passive = failover->conf->passive;
	failover->orders.hold = order_stands(failover, &failover->hold, "hold");
	failover->orders.force = order_stands(failover, &failover->force,
				     "force") ?
	    failover->force_state :
	    STATE_NONE;
}
