// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include "base/hash.h"
#include "machine/topology_spec.h"
#include "sched/flags.h"
#include "workload/expression.h"
#include "workload/workload.h"

namespace uscx::workload {
namespace {

OrError<WorkloadSpec> spec_of(std::string_view text) {
  auto document = json::parse("w.json", text);
  if (!document) return std::unexpected(document.error());
  return parse_workload(std::move(*document));
}

std::string refusal(std::string_view text) {
  const auto spec = spec_of(text);
  return spec ? "accepted" : spec.error().message;
}

/// A task of these members, alone in a file: columns count from the task's brace at 18.
std::string task(std::string_view members) {
  return "{\"tasks\": {\"a\": {" + std::string(members) + "}}}";
}

TEST(Parse, AFileOfRtAppsTutorial) {
  const auto spec = spec_of(R"({
    "tasks": {
      "thread0": {
        "instance": 2, "loop": 5, "delay": 30, "cpus": [2, 3], "policy": "SCHED_FIFO",
        "phases": {
          "light": {"loop": 10, "run": 1000, "timer": {"ref": "unique", "period": 30000}},
          "heavy": {"loop": 10, "cpus": [0], "run0": 4000, "sleep1": 7,
                    "timer": {"ref": "t", "period": 30000, "mode": "absolute"}}
        }
      },
      "thread1": {"run": 10, "sleep": 10, "run": 20, "sync": {"ref": "c", "mutex": "m"},},
    },
    "global": {
      "duration": 2, "calibration": "CPU0", "default_policy": "SCHED_OTHER", "pi_enabled": false,
      "lock_pages": false, "logdir": "./", "log_basename": "rt-app2", "ftrace": true, "gnuplot": true
    }
  })");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->duration, Nanos::from_s(2));
  ASSERT_EQ(spec->threads.size(), 2U);
  const ThreadSpec& t = spec->threads[0];
  EXPECT_EQ(t.instances, "2");
  EXPECT_EQ(t.loop, 5);
  EXPECT_EQ(t.delay, Nanos::from_us(30));
  EXPECT_EQ(t.attributes.policy, sched::SCHED_FIFO);
  EXPECT_EQ(t.attributes.priority, 10);
  ASSERT_EQ(t.phases.size(), 2U);
  const Phase& heavy = t.phases[1];
  EXPECT_EQ(heavy.loop, 10);
  EXPECT_EQ(heavy.attributes.cpus, (std::vector<u32>{0}));
  ASSERT_EQ(heavy.ops.size(), 3U);
  EXPECT_EQ(heavy.ops[0].kind, OpKind::kRun);
  EXPECT_EQ(heavy.ops[0].duration.min, Nanos::from_us(4000));
  EXPECT_EQ(heavy.ops[1].kind, OpKind::kSleep);
  EXPECT_TRUE(heavy.ops[2].absolute);
  // Events in the file's order, the same key twice; sync is four of them.
  const auto& ops = spec->threads[1].phases[0].ops;
  ASSERT_EQ(ops.size(), 7U);
  EXPECT_EQ(ops[2].duration.max, Nanos::from_us(20));
  EXPECT_EQ(ops[3].kind, OpKind::kLock);
  EXPECT_EQ(ops[4].kind, OpKind::kSignal);
  EXPECT_EQ(ops[5].kind, OpKind::kWait);
  EXPECT_EQ(ops[6].kind, OpKind::kUnlock);
}

TEST(Parse, ErrorsHaveLineAndColumn) {
  const std::pair<std::string, std::string> cases[] = {
      {"{", "w.json:1:2: expected a key in quotes, found the end of the file"},
      {"{}", "w.json:1:1: a workload needs 'tasks'"},
      {"{\"tasks\": {}}", "w.json:1:11: 'tasks' is empty"},
      {"{\n  \"tasks\": 1}", "w.json:2:12: 'tasks' must be an object, not a whole number"},
      {"{\"task\": {}}", "w.json:1:2: unknown key 'task' in a workload"},
      {task("\"run\": 1,\n \"mem\": 5"), "w.json:2:2: not served: 'mem'"},
      {task("\"iorun3\": 5"), "w.json:1:18: not served: 'iorun3'"},
      {task("\"dl-runtime\": 5, \"phases\": {\"p\": {\"run\": 1}}"),
       "w.json:1:12: 'dl-runtime' and its like are of SCHED_DEADLINE"},
      {task("\"walk\": 5"), "w.json:1:18: unknown key 'walk' in task 'a'"},
      {task("\"run\": -5"), "w.json:1:25: 'run' must be 0 to 1000000000000, not -5"},
      {task("\"run\": \"5\""), "w.json:1:25: 'run' must be a whole number, not a string"},
      {task("\"run\": {\"min\": 5, \"max\": 4}"), "w.json:1:43: 'max' is less than 'min'"},
      {task("\"run\": {\"min\": 5}"), "w.json:1:25: 'run' needs 'min' and 'max'"},
      {task("\"run\": 1, \"phases\": {\"p\": {\"run\": 1}}"),
       "w.json:1:18: unknown key 'run' in task 'a'"},
      {task("\"run\": 1, \"instance\": \"2*cpu\""),
       "w.json:1:40: 'instance' '2*cpu': unknown name 'cpu'"},
      {task("\"run\": 1, \"policy\": \"SCHED_DEADLINE\""),
       "w.json:1:12: SCHED_DEADLINE needs 'dl-runtime'"},
      {task("\"run\": 1, \"policy\": \"SCHED_DEADLINE\", \"dl-runtime\": 5, \"dl-runtime\": 6"),
       "w.json:1:73: key 'dl-runtime' comes twice"},
      {task("\"run\": 1, \"policy\": \"FIFO\""), "w.json:1:38: unknown policy 'FIFO'"},
      {task("\"run\": 1, \"priority\": 20"),
       "w.json:1:12: 'priority' is the nice value here and must be -20 to 19"},
      {task("\"run\": 1, \"policy\": \"SCHED_RR\", \"priority\": 0"),
       "w.json:1:12: a realtime 'priority' must be 1 to 99"},
      {task("\"run\": 1, \"cpus\": []"), "w.json:1:36: 'cpus' is empty"},
      {task("\"run\": 1, \"loop\": 0"), "w.json:1:36: 'loop' must be at least 1, or -1 for no end"},
      {task(""), "w.json:1:12: task 'a' loops forever and does nothing"},
      {task("\"phases\": {\"p\": {\"loop\": -1}}, \"loop\": 1"),
       "w.json:1:12: phase 'p' loops forever and does nothing"},
      {task("\"fork\": \"b\""), "w.json:1:26: there is no task 'b'"},
      {task("\"timer\": {\"ref\": \"x\"}"), "w.json:1:27: 'timer' needs 'period'"},
      {task("\"timer\": {\"ref\": \"x\", \"period\": 1, \"mode\": \"abs\"}"),
       "w.json:1:61: 'mode' must be \"relative\" or \"absolute\""},
      {task("\"wait\": {\"ref\": \"c\"}"), "w.json:1:26: 'wait' needs 'mutex'"},
      {task("\"lock\": \"\""), "w.json:1:26: 'lock' needs a name"},
      {task("\"pipe_write\": {\"ref\": \"p\", \"bytes\": 4097}"),
       "w.json:1:54: 'bytes' must be 1 to 4096, not 4097"},
      {task("\"pipe_read\": \"p%l\""),
       "accepted"},  // a thread without phases is one phase, gone through once
      {task("\"phases\": {\"p\": {\"loop\": -1, \"signal\": \"p%l\"}}"),
       "w.json:1:47: a name with %l needs a phase with a 'loop' of 1 to 4096"},
      {"{\"tasks\": {\"a\": {\"run\": 1}, \"a\": {\"run\": 1}}}", "w.json:1:29: two tasks 'a'"},
      {"{\"global\": {\"duration\": 0}, \"tasks\": {\"a\": {\"run\": 1}}}",
       "w.json:1:25: 'duration' must be in seconds, or -1 for no end"},
      {"{\"global\": {\"pi_enabled\": true}, \"tasks\": {\"a\": {\"run\": 1}}}",
       "w.json:1:27: not served: 'pi_enabled'"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(refusal(text), message) << text;
}

TEST(Parse, EventsThatActOnOthers) {
  const auto spec = spec_of(R"({"tasks": {
    "main": {"comm": "t_main", "loop": 1, "scheduler0": "attach", "fork1": "other",
             "setaffinity2": {"task": "other", "cpus": [1, 2]},
             "setscheduler3": {"task": "other", "policy": "SCHED_FIFO"},
             "kill4": {"task": "other", "signal": "SIGSTOP"}, "hotplug5": {"cpu": 3, "online": false},
             "await_state6": {"task": "other", "state": "stopped"}, "waitpid7": "other"},
    "other": {"instance": 0, "inherit": true, "spin": "flag"}
  }})");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_TRUE(spec->attaches);
  EXPECT_EQ(spec->threads[0].comm, "t_main");
  EXPECT_TRUE(spec->threads[1].inherit);
  const auto& ops = spec->threads[0].phases[0].ops;
  ASSERT_EQ(ops.size(), 8U);
  EXPECT_EQ(ops[2].cpus, (std::vector<u32>{1, 2}));
  EXPECT_EQ(ops[3].number, sched::SCHED_FIFO);
  EXPECT_EQ(ops[3].priority, 10);
  EXPECT_EQ(ops[5].number, 3);
  EXPECT_FALSE(ops[5].on);
  const std::string where = "w.json:1:";
  EXPECT_EQ(refusal(task(R"("kill": {"task": "a", "signal": "SIGHUP"})")).substr(0, where.size()),
            where);
  EXPECT_NE(refusal(task(R"("kill": {"task": "b", "signal": "SIGKILL"})")).find("'b'"),
            std::string::npos);
  EXPECT_NE(refusal(task(R"("hotplug": {"cpu": 1})")).find("needs 'online'"), std::string::npos);
  EXPECT_NE(refusal(task(R"("scheduler": "reload")")).find("attach, detach"), std::string::npos);
  EXPECT_NE(refusal(task(R"("sysrq": "X")")).find("one of S D"), std::string::npos);
}

TEST(Parse, NamesAndPathsThatAreNone) {
  EXPECT_EQ(
      Workload::load("nothing").error().message,
      "no workload 'nothing': there are spin-sleep, hackbench, schbench, or give a FILE.json");
  EXPECT_EQ(Workload::load("nothing.json").error().message, "nothing.json: cannot be opened");
}

TEST(Parse, TheNamedOnesAreValid) {
  ASSERT_EQ(builtins().size(), 3U);
  for (const Builtin& b : builtins()) {
    const auto w = Workload::load(std::string(b.name));
    ASSERT_TRUE(w) << w.error().message;
    EXPECT_EQ(w->name(), b.name);
    EXPECT_FALSE(w->description().empty());
  }
}

TEST(Parse, MutationsNeverCrash) {
  std::vector<std::string> seeds;
  for (const Builtin& b : builtins()) seeds.emplace_back(b.json);
  seeds.push_back(
      task("\"phases\": {\"p\": {\"loop\": 3, \"timer\": {\"ref\": \"u%l\", \"period\": 3}, "
           "\"cpus\": [1], \"lock\": \"m\", \"wait\": {\"ref\": \"c\", \"mutex\": \"m\"}, "
           "\"fork\": \"a\", \"policy\": \"SCHED_RR\", \"priority\": 3}}"));
  constexpr std::string_view kBytes = "{}[]\",:0123456789.-eE/*\\utfn \n%gil()\x01\x80\xff";
  const auto on = machine::make_topology({.nodes = 1, .llcs = 1, .cores = 4, .threads = 1});
  Random random(11);
  u32 accepted = 0;
  for (u32 round = 0; round < 10'000; ++round) {
    std::string text = seeds[round % seeds.size()];
    for (u64 n = 1 + random.below(4); n > 0 && !text.empty(); --n) {
      const auto at = static_cast<std::size_t>(random.below(text.size()));
      switch (random.below(4)) {
        case 0:
          text.erase(at, 1 + random.below(8));
          break;
        case 1:
          text.insert(at, 1, kBytes[random.below(kBytes.size())]);
          break;
        case 2:
          text[at] = kBytes[random.below(kBytes.size())];
          break;
        default:
          text.insert(at, text.substr(random.below(text.size()), 12));
          break;
      }
    }
    const auto spec = spec_of(text);
    if (!spec) {
      EXPECT_EQ(spec.error().message.find('\n'), std::string::npos);
      continue;
    }
    ++accepted;
    for (const ThreadSpec& t : spec->threads) (void)evaluate(t.instances, on);
  }
  EXPECT_GT(accepted, 100U);
}

TEST(Expression, Arithmetic) {
  const auto on = machine::make_topology({.nodes = 2, .llcs = 2, .cores = 3, .threads = 2});
  const auto value = [&](std::string_view e) { return evaluate(e, on).value_or(~0ULL); };
  EXPECT_EQ(value("cpus"), 24U);
  EXPECT_EQ(value("cores + llcs*nodes"), 20U);
  EXPECT_EQ(value("2*(cpus-4)/3"), 13U);
  EXPECT_EQ(value("max(1, cpus/100)"), 1U);
  EXPECT_EQ(value("min(7,cpus) - 7"), 0U);
  EXPECT_EQ(value("10-3-2"), 5U);
}

TEST(Expression, Refusals) {
  const auto on = machine::make_topology({});
  const auto why = [&](std::string_view e) {
    const auto v = evaluate(e, on);
    return v ? "accepted" : v.error();
  };
  EXPECT_EQ(why(""), "'': expected a number, cpus, cores, llcs, nodes, min or max");
  EXPECT_EQ(why("2 cpus"), "'2 cpus': unexpected 'c'");
  EXPECT_EQ(why("1-2"), "'1-2': less than 0");
  EXPECT_EQ(why("1/0"), "'1/0': division by 0, or of less than 0");
  EXPECT_EQ(why("99999999999"), "'99999999999': too large");
  EXPECT_EQ(why("100000*100000*100000"), "'100000*100000*100000': too large");
  EXPECT_EQ(why("(1"), "'(1': expected ')'");
  const std::string deep(1000, '(');
  EXPECT_EQ(why(deep), "'" + deep + "': nested too deeply");
}

}  // namespace
}  // namespace uscx::workload
