// SPDX-License-Identifier: GPL-2.0-only
// What our bpf(2) answers, line by line, against what a real kernel of the version answered.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "bpf_questions.h"
#include "user_half.h"

namespace uscx::bpf::test {
namespace {

std::string ask() {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  ask_bpf_questions(out);
  std::fclose(out);
  std::string answers(text, size);
  std::free(text);
  return answers;
}

TEST(BpfQuestions, AnsweredAsTheRealKernelDoes) {
  ToyKernel kernel;
  UserHalf half(kernel);
  const std::string answers = ask();
  std::ifstream file(USCX_TEST_DATA "/bpf_answers.txt");
  std::stringstream recorded;
  recorded << file.rdbuf();
  ASSERT_GT(recorded.str().size(), 1000u);
  EXPECT_EQ(answers, recorded.str());
}

}  // namespace
}  // namespace uscx::bpf::test
