// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family ECHO: it sends back the text that it is sent, and
 * multicasts events: every interval_ms milliseconds, and for every text that
 * is written to the debugfs file genl-echo/trigger.
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>

#include "genl-echo.h"

static struct genl_family echo_family;
static struct dentry *echo_debugfs;
static atomic_t echo_events = ATOMIC_INIT(0);

/* The policy's own length check would refuse it without saying why. */
static int echo_check_msg(const struct nlattr *attr,
			  struct netlink_ext_ack *extack)
{
	if (strnlen(nla_data(attr), nla_len(attr)) <= ECHO_MSG_MAX)
		return 0;
	NL_SET_ERR_MSG_ATTR(extack, attr,
			    "the text is longer than 1023 bytes");
	return -EMSGSIZE;
}

static const struct nla_policy echo_policy[ECHO_A_MSG + 1] = {
	[ECHO_A_MSG] = {
		.type = NLA_NUL_STRING,
		.validation_type = NLA_VALIDATE_FUNCTION,
		.validate = echo_check_msg,
	},
};

static int echo_reply(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	const char *text;
	void *header;

	if (GENL_REQ_ATTR_CHECK(info, ECHO_A_MSG)) {
		NL_SET_ERR_MSG(info->extack, "there is no text to echo");
		return -EINVAL;
	}
	text = nla_data(info->attrs[ECHO_A_MSG]);

	reply = genlmsg_new(nla_total_size(strlen(text) + 1), GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	header = genlmsg_put_reply(reply, info, &echo_family, 0, ECHO_C_ECHO);
	if (!header || nla_put_string(reply, ECHO_A_MSG, text)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, header);
	return genlmsg_reply(reply, info);
}

static const struct genl_ops echo_ops[] = {
	{
		.cmd = ECHO_C_ECHO,
		.doit = echo_reply,
		.policy = echo_policy,
		.maxattr = ECHO_A_MSG,
	},
};

static const struct genl_multicast_group echo_groups[] = {
	{ .name = ECHO_GENL_EVENTS },
};

static struct genl_family echo_family __ro_after_init = {
	.name = ECHO_GENL_NAME,
	.version = ECHO_GENL_VERSION,
	.maxattr = ECHO_A_MAX,
	.netnsok = true,
	.module = THIS_MODULE,
	.ops = echo_ops,
	.n_ops = ARRAY_SIZE(echo_ops),
	.resv_start_op = ECHO_C_ECHO,
	.mcgrps = echo_groups,
	.n_mcgrps = ARRAY_SIZE(echo_groups),
};

/* Tells the listeners in every network namespace. */
static int echo_tell(const char *text)
{
	u32 seq = atomic_inc_return(&echo_events);
	struct sk_buff *skb;
	void *header;
	int err;

	skb = genlmsg_new(nla_total_size(strlen(text) + 1) +
			  nla_total_size(sizeof(u32)) +
			  nla_total_size_64bit(sizeof(u64)), GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	header = genlmsg_put(skb, 0, 0, &echo_family, 0, ECHO_C_EVENT);
	if (!header ||
	    nla_put_string(skb, ECHO_A_MSG, text) ||
	    nla_put_u32(skb, ECHO_A_SEQ, seq) ||
	    nla_put_u64_64bit(skb, ECHO_A_TIME, ktime_get_ns(),
			      ECHO_A_PAD)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);

	rcu_read_lock();
	err = genlmsg_multicast_allns(&echo_family, skb, 0, 0);
	rcu_read_unlock();
	/* Nobody listens, or not fast enough, which the listener is told. */
	return err == -ESRCH || err == -ENOBUFS ? 0 : err;
}

/* The timer. The lock orders its start and its end with the parameter. */
static DEFINE_MUTEX(echo_lock);
static bool echo_running;
static unsigned int echo_interval;

static void echo_tick(struct work_struct *work)
{
	unsigned int interval = READ_ONCE(echo_interval);

	if (!interval)
		return;
	echo_tell("tick");
	schedule_delayed_work(to_delayed_work(work), msecs_to_jiffies(interval));
}

static DECLARE_DELAYED_WORK(echo_timer, echo_tick);

static void echo_restart_timer(void)
{
	lockdep_assert_held(&echo_lock);
	cancel_delayed_work(&echo_timer);
	if (echo_interval)
		schedule_delayed_work(&echo_timer,
				      msecs_to_jiffies(echo_interval));
}

static int echo_set_interval(const char *text, const struct kernel_param *param)
{
	unsigned int interval;
	int err;

	err = kstrtouint(text, 0, &interval);
	if (err)
		return err;
	/* What is longer than a day is more likely a slip. */
	if (interval > 24 * 60 * 60 * MSEC_PER_SEC)
		return -ERANGE;

	mutex_lock(&echo_lock);
	WRITE_ONCE(echo_interval, interval);
	/* The parameter is there before the family is, and after it. */
	if (echo_running)
		echo_restart_timer();
	mutex_unlock(&echo_lock);
	return 0;
}

static const struct kernel_param_ops echo_interval_ops = {
	.set = echo_set_interval,
	.get = param_get_uint,
};

module_param_cb(interval_ms, &echo_interval_ops, &echo_interval, 0644);
MODULE_PARM_DESC(interval_ms, "milliseconds between two events; 0, the default: none");

static ssize_t echo_trigger(struct file *file, const char __user *user,
			    size_t count, loff_t *pos)
{
	size_t length = count;
	char *text;
	int err;

	/* A line has a byte more, its end. */
	if (count > ECHO_MSG_MAX + 1)
		return -EMSGSIZE;
	text = memdup_user_nul(user, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	if (length && text[length - 1] == '\n')
		text[--length] = '\0';

	if (length > ECHO_MSG_MAX)
		err = -EMSGSIZE;
	else if (strlen(text) != length)
		err = -EINVAL;
	else
		err = echo_tell(text);
	kfree(text);
	return err ? err : count;
}

static const struct file_operations echo_trigger_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = echo_trigger,
	.llseek = noop_llseek,
};

static int __init echo_init(void)
{
	int err = genl_register_family(&echo_family);

	if (err)
		return err;

	/* Where there is no debugfs, there is no trigger. */
	echo_debugfs = debugfs_create_dir("genl-echo", NULL);
	debugfs_create_file("trigger", 0200, echo_debugfs, NULL,
			    &echo_trigger_fops);

	mutex_lock(&echo_lock);
	echo_running = true;
	echo_restart_timer();
	mutex_unlock(&echo_lock);
	return 0;
}

static void __exit echo_exit(void)
{
	mutex_lock(&echo_lock);
	echo_running = false;
	mutex_unlock(&echo_lock);
	cancel_delayed_work_sync(&echo_timer);
	/* Waits for those who write to it. */
	debugfs_remove(echo_debugfs);
	genl_unregister_family(&echo_family);
}

module_init(echo_init);
module_exit(echo_exit);

MODULE_DESCRIPTION("Generic netlink family ECHO: echo, and events by timer and trigger");
MODULE_LICENSE("GPL");
