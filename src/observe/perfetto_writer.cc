// SPDX-License-Identifier: GPL-2.0-only
#include "observe/perfetto_writer.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace uscx::observe {

using protozero::pbf_writer;

OrError<std::unique_ptr<PerfettoWriter>> PerfettoWriter::create(const std::string& path,
                                                                u32 nr_cpus) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) return error(fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
  std::unique_ptr<PerfettoWriter> writer(new PerfettoWriter(file, nr_cpus));
  writer->begin();
  return writer;
}

PerfettoWriter::~PerfettoWriter() {
  flush();
  std::fclose(file_);
}

/// The first packet of a sequence: nothing was said before it.
void PerfettoWriter::begin() {
  pbf_writer trace{packets_};
  pbf_writer packet{trace, pb::kPacket};
  packet.add_uint32(pb::kTrustedPacketSequenceId, kSequence);
  packet.add_uint32(pb::kSequenceFlags, pb::kIncrementalStateCleared);
}

void PerfettoWriter::instant(Nanos at, u64 track, std::string_view name) {
  const auto fill = [&]<class Writer>(Writer& p) {
    Writer event{p, pb::kTrackEvent};
    event.add_enum(pb::kType, pb::kInstant);
    event.add_uint64(pb::kEventTrack, track);
    event.add_string(pb::kName, name.data(), name.size());
  };
  if (name.size() <= kShort / 2) {
    short_packet(at, fill);
  } else {
    packet(at, fill);
  }
}

void PerfettoWriter::counter(Nanos at, u64 track, u64 value) {
  short_packet(at, [&](ShortWriter& p) {
    ShortWriter event{p, pb::kTrackEvent};
    event.add_enum(pb::kType, pb::kCounter);
    event.add_uint64(pb::kEventTrack, track);
    event.add_int64(pb::kCounterValue, static_cast<s64>(value));
  });
}

void PerfettoWriter::slice(Nanos at, u64 track, std::string_view name) {
  packet(at, [&](pbf_writer& p) {
    pbf_writer event{p, pb::kTrackEvent};
    event.add_enum(pb::kType, name.empty() ? pb::kSliceEnd : pb::kSliceBegin);
    event.add_uint64(pb::kEventTrack, track);
    if (!name.empty()) event.add_string(pb::kName, name.data(), name.size());
  });
}

void PerfettoWriter::flush_cpu(u32 cpu) {
  std::string& events = cpus_[cpu];
  if (events.empty()) return;
  {
    pbf_writer trace{packets_};
    pbf_writer packet{trace, pb::kPacket};
    packet.add_uint32(pb::kTrustedPacketSequenceId, kSequence);
    pbf_writer bundle{packet, pb::kFtraceEvents};
    bundle.add_uint32(pb::kBundleCpu, cpu);
    packets_ += events;  // encoded fields of the bundle
  }
  events.clear();
  if (packets_.size() >= kPacketsChunk) write_out();
}

void PerfettoWriter::write_out() {
  if (!failed_ && std::fwrite(packets_.data(), 1, packets_.size(), file_) != packets_.size()) {
    failed_ = true;
  }
  written_ += packets_.size();
  packets_.clear();
}

bool PerfettoWriter::flush() {
  for (u32 cpu = 0; cpu < cpus_.size(); ++cpu) flush_cpu(cpu);
  write_out();
  if (std::fflush(file_) != 0) failed_ = true;
  return !failed_;
}

}  // namespace uscx::observe
