// SPDX-License-Identifier: GPL-2.0-only
/* A struct_ops type that is no scheduler: what belongs to sched_ext must be refused to its
 * programs. */

struct module;
union tcp_cc_info;

struct sock {
  u32 sk_pacing_status;
};

struct rate_sample {
  u64 prior_mstamp;
  u32 prior_delivered;
  u32 prior_delivered_ce;
  s32 delivered;
  s32 delivered_ce;
  long interval_us;
  u32 snd_interval_us;
  u32 rcv_interval_us;
  long rtt_us;
  int losses;
  u32 acked_sacked;
  u32 prior_in_flight;
  u32 last_end_seq;
  bool is_app_limited;
  bool is_retrans;
  bool is_ack_delayed;
};

struct ack_sample {
  u32 pkts_acked;
  s32 rtt_us;
  u32 in_flight;
};

enum tcp_ca_event {
  CA_EVENT_TX_START = 0,
  CA_EVENT_CWND_RESTART = 1,
  CA_EVENT_COMPLETE_CWR = 2,
  CA_EVENT_LOSS = 3,
  CA_EVENT_ECN_NO_CE = 4,
  CA_EVENT_ECN_IS_CE = 5,
};

struct tcp_congestion_ops {
  void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked);
  void (*cong_control)(struct sock *sk, u32 ack, int flag, const struct rate_sample *rs);
  u32 (*ssthresh)(struct sock *sk);
  void (*set_state)(struct sock *sk, u8 new_state);
  void (*cwnd_event)(struct sock *sk, enum tcp_ca_event ev);
  void (*cwnd_event_tx_start)(struct sock *sk);
  void (*in_ack_event)(struct sock *sk, u32 flags);
  void (*pkts_acked)(struct sock *sk, const struct ack_sample *sample);
  u32 (*min_tso_segs)(struct sock *sk);
  u32 (*undo_cwnd)(struct sock *sk);
  u32 (*sndbuf_expand)(struct sock *sk);
  size_t (*get_info)(struct sock *sk, u32 ext, int *attr, union tcp_cc_info *info);
  char name[16];
  struct module *owner;
  struct list_head list;
  u32 key;
  u32 flags;
  void (*init)(struct sock *sk);
  void (*release)(struct sock *sk);
} __attribute__((aligned(64)));

struct bpf_struct_ops_tcp_congestion_ops {
  struct bpf_struct_ops_common_value common;
  struct tcp_congestion_ops data __attribute__((aligned(64)));
};
