// SPDX-License-Identifier: GPL-2.0-only
#include "machine/topology_spec.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/hash.h"

namespace uscx::machine {
namespace {

sched::Topology must(const std::string& spec) {
  const auto m = load_machine(spec);
  EXPECT_TRUE(m) << m.error().message;
  return m ? m->topology : sched::Topology{};
}

std::string refusal(const std::string& spec) {
  const auto m = load_machine(spec);
  return m ? "accepted" : m.error().message;
}

OrError<MachineSpec> parse_text(std::string_view text) {
  const auto document = json::parse("m.json", text);
  if (!document) return std::unexpected(document.error());
  return parse_machine(*document);
}

std::string text_refusal(std::string_view text) {
  const auto m = parse_text(text);
  return m ? "accepted" : m.error().message;
}

TEST(Shape, CountsArePerParent) {
  const auto t = must("2n4l8c2t");
  EXPECT_EQ(t.nr_cpus(), 128U);
  EXPECT_EQ(t.nr_nodes, 2U);
  EXPECT_EQ(t.nr_llcs, 8U);
  EXPECT_EQ(t.nr_cores, 64U);
  EXPECT_EQ(must("1n1l4c1t").nr_cpus(), 4U);
  EXPECT_EQ(must("1n1l4096c1t").nr_cpus(), 4096U);
}

TEST(Shape, SecondThreadsComeAfterAllFirstOnes) {
  const auto t = must("1n2l4c2t");
  ASSERT_EQ(t.nr_cpus(), 16U);
  EXPECT_EQ(t.description, "1n2l4c2t: 16 CPUs, 1 node, 2 LLCs, 8 cores, 2 threads each");
  for (u32 i = 0; i < 16; ++i) {
    EXPECT_EQ(t.cpus[i].core, i % 8);
    EXPECT_EQ(t.cpus[i].thread, i / 8);
    EXPECT_EQ(t.cpus[i].llc, i % 8 / 4);
    EXPECT_EQ(t.cpus[i].node, 0);
  }
  EXPECT_EQ(must("2n1l1c1t").distances, (std::vector<std::vector<u32>>{{10, 20}, {20, 10}}));
}

TEST(Shape, ImpossibleOnesAreRefusedInOneLine) {
  const std::string form = "expected nodes, LLCs, cores and threads as in 1n2l4c2t, or a FILE.json";
  for (const char* bad : {"", "x", "1n2l4c", "1n2l4c2", "1n2l4c2t ", "n1l2c4t2", "1n2l4c2tx",
                          "-1n1l1c1t", "1n 1l1c1t", "1N1L1C1T"}) {
    EXPECT_EQ(refusal(bad), "machine '" + std::string(bad) + "': " + form);
  }
  EXPECT_EQ(refusal("0n1l1c1t"), "machine '0n1l1c1t': 0n leaves no CPU");
  EXPECT_EQ(refusal("1n1l1c0t"), "machine '1n1l1c0t': 0t leaves no CPU");
  EXPECT_EQ(refusal("2n4l512c2t"), "machine '2n4l512c2t': more than 4096 CPUs");
  EXPECT_EQ(refusal("99999999999999999999n1l1c1t"),
            "machine '99999999999999999999n1l1c1t': more than 4096 CPUs");
  EXPECT_EQ(refusal("no/such.json"), "no/such.json: cannot be opened");
}

TEST(MachineFile, CountsCostsAndDistances) {
  const auto m = parse_text(R"({
    "nodes": 2, "cores": 3,  // two nodes, as a comment says
    "distances": [[10, 32], [31, 10]],
    "costs": {"ipi_ns": 1, "bpf_insn_ps": 0}
  })");
  ASSERT_TRUE(m) << m.error().message;
  EXPECT_EQ(m->topology.nr_cpus(), 6U);
  EXPECT_EQ(m->topology.distances[1][0], 31U);
  EXPECT_EQ(m->costs.ipi_ns, 1U);
  EXPECT_EQ(m->costs.bpf_insn_ps, 0U);
  EXPECT_EQ(m->costs.tick_ns, sched::Costs{}.tick_ns);
}

TEST(MachineFile, CpuByCpu) {
  const auto m = parse_text(R"({"cpus": [
    {"core": 0}, {"core": 1, "llc": 1, "capacity": 446}, {"core": 0, "online": false}]})");
  ASSERT_TRUE(m) << m.error().message;
  const auto& t = m->topology;
  EXPECT_EQ(t.nr_llcs, 2U);
  EXPECT_EQ(t.nr_cores, 2U);
  EXPECT_EQ(t.cpus[1].capacity, 446U);
  EXPECT_EQ(t.cpus[2].thread, 1U);
  EXPECT_FALSE(t.cpus[2].online);
  EXPECT_EQ(t.distances, (std::vector<std::vector<u32>>{{10}}));
}

TEST(MachineFile, ErrorsHaveLineAndColumn) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "m.json:1:1: expected a value, found the end of the file"},
      {"{\n  \"nodes\": 1,\n  \"cores\" 2\n}", "m.json:3:11: expected ':', found '2'"},
      {"{\n  \"nodes\": \"two\"\n}", "m.json:2:12: 'nodes' must be a whole number, not a string"},
      {"{\"nodes\": 1.5}",
       "m.json:1:11: 'nodes' must be a whole number, not a number with a fraction"},
      {"[]", "m.json:1:1: a machine must be an object, not an array"},
      {"{}", "m.json:1:1: a machine needs 'nodes', 'llcs', 'cores', 'threads' or 'cpus'"},
      {"{\"nodes\": 0}", "m.json:1:11: 'nodes' must be 1 to 4096, not 0"},
      {"{\"nodes\": 1,\n \"sockets\": 1}", "m.json:2:2: unknown key 'sockets' in a machine"},
      {"{\"nodes\": 1, \"nodes\": 1}", "m.json:1:14: key 'nodes' comes twice in a machine"},
      {"{\"nodes\": 64,\n\"cores\": 65}", "m.json:2:10: more than 4096 CPUs"},
      {"{\"nodes\": 1, \"cpus\": [{}]}", "m.json:1:11: 'nodes' beside 'cpus': give one"},
      {"{\"cpus\": []}", "m.json:1:10: 'cpus' is empty"},
      {"{\"cpus\": [{\"core\": 1}]}",
       "m.json:1:10: core numbers must be 0 to 0 without a gap: there are 1 and the largest is 1"},
      {"{\"cpus\": [{\"core\": 0},\n {\"core\": 0, \"llc\": 1}]}",
       "m.json:2:2: core 0 is in two LLCs"},
      {"{\"cpus\": [{\"online\": false}, {}]}", "m.json:1:11: CPU 0 must be online"},
      {"{\"cpus\": [{\"capacity\": 1025}]}", "m.json:1:24: 'capacity' must be 1 to 1024, not 1025"},
      {"{\"nodes\": 1, \"costs\": {\"speed\": 1}}", "m.json:1:24: there is no cost 'speed'"},
      {"{\"nodes\": 1, \"costs\": {\"ipi_ns\": -1}}",
       "m.json:1:34: 'ipi_ns' must be 0 to 10000000000, not -1"},
      {"{\"nodes\": 2, \"distances\": [[10]]}",
       "m.json:1:27: 'distances' needs 2 rows, one a node"},
      {"{\"nodes\": 2, \"distances\": [[10, 10], [20, 10]]}",
       "m.json:1:33: a distance is 10 from a node to itself, and only there"},
      {"{\"nodes\": 99999999999999999999}", "m.json:1:11: the number is too large"},
      {"{\"a\\nb\": 1}", "m.json:1:2: unknown key 'a?b' in a machine"},
      {"{\"nodes\": 1} x", "m.json:1:14: unexpected text after the end"},
      {"/* open", "m.json:1:1: unterminated comment"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(text_refusal(text), message) << text;
}

TEST(MachineFile, ADirectoryIsNoFile) {
  EXPECT_EQ(refusal("./"), "./: cannot be read");
}

/// Mutations of a valid file either parse or give one line; the sanitizers watch.
TEST(MachineFile, MutationsNeverCrash) {
  const std::string good = R"({"nodes": 2, "llcs": 2, "cores": 2, "threads": 2, /* c */
    "distances": [[10, 21], [21, 10]], "costs": {"ipi_ns": 700, "tick\u005fns": 800}})";
  const std::string list = R"({"cpus": [{"node": 0, "llc": 0, "core": 0, "capacity": 1024},
    {"node": 1, "llc": 1, "core": 1, "online": true}], "description": "x"})";
  ASSERT_EQ(text_refusal(good), "accepted");
  ASSERT_EQ(text_refusal(list), "accepted");
  constexpr std::string_view kBytes = "{}[]\",:0123456789.-eE/*\\utfn \n\x01\x80\xff";
  Random random(7);
  u32 accepted = 0;
  for (u32 round = 0; round < 20'000; ++round) {
    std::string text = round % 2 == 0 ? good : list;
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
    const std::string message = text_refusal(text);
    accepted += message == "accepted";
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_FALSE(message.empty());
  }
  EXPECT_GT(accepted, 0U);
}

TEST(MachineFile, TheExamplesAreValid) {
  const std::string examples = std::string(USCX_TEST_DATA) + "/../../../examples/machines/";
  EXPECT_EQ(must(examples + "two-sockets.json").nr_cpus(), 128U);
  const auto hybrid = must(examples + "hybrid-laptop.json");
  EXPECT_EQ(hybrid.nr_cpus(), 16U);
  EXPECT_EQ(hybrid.nr_cores, 12U);
  EXPECT_EQ(hybrid.cpus[1].thread, 1U);
}

TEST(Json, NestingIsLimited) {
  EXPECT_EQ(text_refusal(std::string(100'000, '[')), "m.json:1:66: nested deeper than 64");
}

TEST(Json, StringsAndOrder) {
  const auto d = json::parse("f", R"(["a\u00e9\ud83d\ude00\n", {"b": 1, "a": 2, "b": 3,},])");
  ASSERT_TRUE(d) << d.error().message;
  EXPECT_EQ(d->root.items[0].text, "a\xc3\xa9\xf0\x9f\x98\x80\n");
  const auto& members = d->root.items[1].members;
  ASSERT_EQ(members.size(), 3U);
  EXPECT_EQ(members[0].key, "b");
  EXPECT_EQ(members[2].value.integer, 3);
  EXPECT_FALSE(json::parse("f", "\"\\ud800\""));
  EXPECT_FALSE(json::parse("f", "\"\t\""));
  EXPECT_FALSE(json::parse("f", "01"));
}

}  // namespace
}  // namespace uscx::machine
