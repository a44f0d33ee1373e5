// SPDX-License-Identifier: GPL-2.0-only
// Which helpers take which type of map: a map's list of helpers, and a helper's list of maps.
#include <algorithm>
#include <array>

#include "bpf/uapi.h"
#include "bpf/verifier/helper_proto.h"

namespace uscx::bpf::verifier {

namespace {

using namespace uapi;

// Helpers by id, where a rule names them.
enum Helper : u32 {
  kMapLookupElem = 1,
  kMapUpdateElem = 2,
  kMapDeleteElem = 3,
  kTailCall = 12,
  kPerfEventRead = 22,
  kPerfEventOutput = 25,
  kGetStackid = 27,
  kSkbUnderCgroup = 33,
  kCurrentTaskUnderCgroup = 37,
  kRedirectMap = 51,
  kSkRedirectMap = 52,
  kSockMapUpdate = 53,
  kPerfEventReadValue = 55,
  kMsgRedirectMap = 60,
  kSockHashUpdate = 70,
  kMsgRedirectHash = 71,
  kSkRedirectHash = 72,
  kGetLocalStorage = 81,
  kSkSelectReuseport = 82,
  kMapPushElem = 87,
  kMapPopElem = 88,
  kMapPeekElem = 89,
  kSkStorageGet = 107,
  kSkStorageDelete = 108,
  kSkbOutput = 111,
  kXdpOutput = 121,
  kRingbufOutput = 130,
  kRingbufReserve = 131,
  kRingbufQuery = 134,
  kInodeStorageGet = 145,
  kInodeStorageDelete = 146,
  kTaskStorageGet = 156,
  kTaskStorageDelete = 157,
  kKptrXchg = 194,
  kMapLookupPercpuElem = 195,
  kRingbufReserveDynptr = 198,
  kRingbufSubmitDynptr = 199,
  kRingbufDiscardDynptr = 200,
  kUserRingbufDrain = 209,
  kCgrpStorageGet = 210,
  kCgrpStorageDelete = 211,
};

template <std::size_t N>
struct Rule {
  u32 of;
  std::array<u32, N> allowed;  // 0: none
};

/// The only helpers that take a map of a type; types that are not here go to any that take maps.
constexpr Rule<8> kByMap[] = {
    {kMapProgArray, {kTailCall}},
    {kMapPerfEventArray,
     {kPerfEventRead, kPerfEventOutput, kSkbOutput, kPerfEventReadValue, kXdpOutput}},
    {kMapRingbuf,
     {kRingbufOutput, kRingbufReserve, kRingbufQuery, kRingbufReserveDynptr, kRingbufSubmitDynptr,
      kRingbufDiscardDynptr}},
    {kMapUserRingbuf, {kUserRingbufDrain}},
    {kMapStackTrace, {kGetStackid}},
    {kMapCgroupArray, {kSkbUnderCgroup, kCurrentTaskUnderCgroup}},
    {kMapCgroupStorage, {kGetLocalStorage}},
    {kMapPercpuCgroupStorage, {kGetLocalStorage}},
    {kMapDevmap, {kRedirectMap, kMapLookupElem}},
    {kMapDevmapHash, {kRedirectMap, kMapLookupElem}},
    {kMapCpumap, {kRedirectMap}},
    {kMapXskmap, {kRedirectMap, kMapLookupElem}},
    {kMapArrayOfMaps, {kMapLookupElem}},
    {kMapHashOfMaps, {kMapLookupElem}},
    {kMapSockmap,
     {kSkRedirectMap, kSockMapUpdate, kMsgRedirectMap, kSkSelectReuseport, kMapLookupElem}},
    {kMapSockhash,
     {kSkRedirectHash, kSockHashUpdate, kMsgRedirectHash, kSkSelectReuseport, kMapLookupElem}},
    {kMapReuseportSockarray, {kSkSelectReuseport}},
    {kMapQueue, {kMapPeekElem, kMapPopElem, kMapPushElem}},
    {kMapStack, {kMapPeekElem, kMapPopElem, kMapPushElem}},
    {kMapSkStorage, {kSkStorageGet, kSkStorageDelete, kKptrXchg}},
    {kMapInodeStorage, {kInodeStorageGet, kInodeStorageDelete, kKptrXchg}},
    {kMapTaskStorage, {kTaskStorageGet, kTaskStorageDelete, kKptrXchg}},
    {kMapCgrpStorage, {kCgrpStorageGet, kCgrpStorageDelete, kKptrXchg}},
    {kMapBloomFilter, {kMapPeekElem, kMapPushElem}},
    {kMapInsnArray, {}},
};

/// The only types of map that a helper takes.
constexpr Rule<4> kByHelper[] = {
    {kTailCall, {kMapProgArray}},
    {kPerfEventRead, {kMapPerfEventArray}},
    {kPerfEventOutput, {kMapPerfEventArray}},
    {kPerfEventReadValue, {kMapPerfEventArray}},
    {kSkbOutput, {kMapPerfEventArray}},
    {kXdpOutput, {kMapPerfEventArray}},
    {kRingbufOutput, {kMapRingbuf}},
    {kRingbufReserve, {kMapRingbuf}},
    {kRingbufQuery, {kMapRingbuf}},
    {kRingbufReserveDynptr, {kMapRingbuf}},
    {kRingbufSubmitDynptr, {kMapRingbuf}},
    {kRingbufDiscardDynptr, {kMapRingbuf}},
    {kUserRingbufDrain, {kMapUserRingbuf}},
    {kGetStackid, {kMapStackTrace}},
    {kCurrentTaskUnderCgroup, {kMapCgroupArray}},
    {kSkbUnderCgroup, {kMapCgroupArray}},
    {kRedirectMap, {kMapDevmap, kMapDevmapHash, kMapCpumap, kMapXskmap}},
    {kSkRedirectMap, {kMapSockmap}},
    {kMsgRedirectMap, {kMapSockmap}},
    {kSockMapUpdate, {kMapSockmap}},
    {kSkRedirectHash, {kMapSockhash}},
    {kMsgRedirectHash, {kMapSockhash}},
    {kSockHashUpdate, {kMapSockhash}},
    {kGetLocalStorage, {kMapCgroupStorage, kMapPercpuCgroupStorage}},
    {kSkSelectReuseport, {kMapReuseportSockarray, kMapSockmap, kMapSockhash}},
    {kMapPopElem, {kMapQueue, kMapStack}},
    {kMapPeekElem, {kMapQueue, kMapStack, kMapBloomFilter}},
    {kMapPushElem, {kMapQueue, kMapStack, kMapBloomFilter}},
    {kMapLookupPercpuElem, {kMapPercpuArray, kMapPercpuHash, kMapLruPercpuHash}},
    {kSkStorageGet, {kMapSkStorage}},
    {kSkStorageDelete, {kMapSkStorage}},
    {kInodeStorageGet, {kMapInodeStorage}},
    {kInodeStorageDelete, {kMapInodeStorage}},
    {kTaskStorageGet, {kMapTaskStorage}},
    {kTaskStorageDelete, {kMapTaskStorage}},
    {kCgrpStorageGet, {kMapCgrpStorage}},
    {kCgrpStorageDelete, {kMapCgrpStorage}},
};

template <std::size_t N, std::size_t M>
bool allows(const Rule<N> (&rules)[M], u32 of, u32 what) {
  const auto rule =
      std::find_if(std::begin(rules), std::end(rules), [&](const auto& r) { return r.of == of; });
  if (rule == std::end(rules)) return true;
  return what && std::find(rule->allowed.begin(), rule->allowed.end(), what) != rule->allowed.end();
}

/// Contexts in which no socket can be locked. Linux: may_update_sockmap.
bool may_update_sockmap(const ProgContext& prog, u32 id) {
  switch (prog.type) {
    case kProgTracing:
      return prog.attach_type == kTraceIter;
    case kProgSockOps:
      return id == kMapDeleteElem;
    default:
      return prog.type == kProgSkReuseport || prog.type == kProgSkLookup;
  }
}

}  // namespace

bool map_allows_helper(const ProgContext& prog, u32 map_type, u32 id, std::string& log) {
  const bool of_sockets = map_type == kMapSockmap || map_type == kMapSockhash;
  if (of_sockets && (id == kMapUpdateElem || id == kMapDeleteElem)) {
    if (may_update_sockmap(prog, id)) return true;
    log += "cannot update sockmap in this context\n";
    return false;
  }
  return allows(kByMap, map_type, id) && allows(kByHelper, id, map_type);
}

}  // namespace uscx::bpf::verifier
