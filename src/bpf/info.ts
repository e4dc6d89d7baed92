// SPDX-License-Identifier: MIT
import { readFileSync } from "node:fs";
import { addressOf, closeFd } from "../linux/index.js";
import { Btf } from "./btf/index.js";
import { fdById, objectInfo } from "./libbpf.js";

/** `enum bpf_map_type`, by number. */
export const MAP_TYPES = [
  "unspec",
  "hash",
  "array",
  "prog_array",
  "perf_event_array",
  "percpu_hash",
  "percpu_array",
  "stack_trace",
  "cgroup_array",
  "lru_hash",
  "lru_percpu_hash",
  "lpm_trie",
  "array_of_maps",
  "hash_of_maps",
  "devmap",
  "sockmap",
  "cpumap",
  "xskmap",
  "sockhash",
  "cgroup_storage",
  "reuseport_sockarray",
  "percpu_cgroup_storage",
  "queue",
  "stack",
  "sk_storage",
  "devmap_hash",
  "struct_ops",
  "ringbuf",
  "inode_storage",
  "task_storage",
  "bloom_filter",
  "user_ringbuf",
  "cgrp_storage",
  "arena",
] as const;

export type MapType = (typeof MAP_TYPES)[number];

function name(info: Buffer, at: number): string {
  const end = info.indexOf(0, at);
  return info.toString("utf8", at, Math.min(end < 0 ? at + 16 : end, at + 16));
}

export interface MapInfo {
  id: number;
  name: string;
  type: MapType;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  btfId: number;
  btfKeyType: number;
  btfValueType: number;
}

/** `struct bpf_map_info`. */
export function mapInfo(fd: number): MapInfo {
  const info = Buffer.alloc(88);
  objectInfo(fd, info, "map");
  return {
    type: MAP_TYPES[info.readUInt32LE(0)] ?? "unspec",
    id: info.readUInt32LE(4),
    keySize: info.readUInt32LE(8),
    valueSize: info.readUInt32LE(12),
    maxEntries: info.readUInt32LE(16),
    flags: info.readUInt32LE(20),
    name: name(info, 24),
    btfId: info.readUInt32LE(64),
    btfKeyType: info.readUInt32LE(68),
    btfValueType: info.readUInt32LE(72),
  };
}

export interface ProgramInfo {
  id: number;
  /** `enum bpf_prog_type`; 6 is XDP. */
  type: number;
  /** As the kernel keeps it: 15 bytes at the most. */
  name: string;
  /** SHA-1 prefix of the instructions, in hexadecimal. */
  tag: string;
  /** Nanoseconds of CLOCK_BOOTTIME. */
  loadedAt: bigint;
  mapIds: number[];
  btfId: number;
}

/** `struct bpf_prog_info`, with the ids of the maps that it uses. */
export function programInfo(fd: number): ProgramInfo {
  const info = Buffer.alloc(232);
  const maps = new Uint32Array(64);
  const bytes = Buffer.from(maps.buffer);
  info.writeUInt32LE(maps.length, 52);
  info.writeBigUInt64LE(addressOf(bytes), 56);
  objectInfo(fd, info, "program");
  return {
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    tag: info.toString("hex", 8, 16),
    loadedAt: info.readBigUInt64LE(40),
    mapIds: Array.from(maps.subarray(0, Math.min(info.readUInt32LE(52), maps.length))),
    name: name(info, 64),
    btfId: info.readUInt32LE(128),
  };
}

/** The BTF type of the function that a program begins with; 0 where it has no BTF. */
export function mainFunction(fd: number): { btfId: number; type: number } {
  const info = Buffer.alloc(232);
  const record = Buffer.alloc(8);
  info.writeUInt32LE(record.length, 132);
  info.writeBigUInt64LE(addressOf(record), 136);
  info.writeUInt32LE(1, 144);
  objectInfo(fd, info, "program");
  return { btfId: info.readUInt32LE(128), type: record.readUInt32LE(4) };
}

export interface LinkInfo {
  id: number;
  /** `enum bpf_link_type`; 6 is XDP. */
  type: number;
  programId: number;
  /** XDP links: the interface; 0 once it is gone or the link was detached. */
  ifindex: number;
}

export const LINK_TYPE_XDP = 6;

/** `struct bpf_link_info`. */
export function linkInfo(fd: number): LinkInfo {
  const info = Buffer.alloc(64);
  objectInfo(fd, info, "link");
  return {
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    programId: info.readUInt32LE(8),
    ifindex: info.readUInt32LE(16),
  };
}

/** The BTF that the kernel keeps for a program or map; undefined where it has none. */
export function kernelBtf(id: number): Btf | undefined {
  if (id === 0) return undefined;
  const fd = fdById("btf", id);
  if (fd === undefined) return undefined;
  try {
    const info = Buffer.alloc(32);
    objectInfo(fd, info, "BTF");
    const bytes = Buffer.alloc(info.readUInt32LE(8));
    info.fill(0);
    info.writeBigUInt64LE(addressOf(bytes), 0);
    info.writeUInt32LE(bytes.length, 8);
    objectInfo(fd, info, "BTF");
    return Btf.parse(bytes);
  } finally {
    closeFd(fd);
  }
}

/** When the machine was started, ms since the epoch. */
let booted = 0;

/**
 * The wall-clock time of a moment of CLOCK_BOOTTIME, to the 10 ms of /proc/uptime. The same moment is the same time at
 * every call, until the clock is set.
 */
export function bootTimeToDate(ns: bigint): Date {
  const now = Date.now() - Number.parseFloat(readFileSync("/proc/uptime", "latin1")) * 1000;
  if (Math.abs(now - booted) > 1000) booted = now;
  return new Date(booted + Number(ns) / 1e6);
}
