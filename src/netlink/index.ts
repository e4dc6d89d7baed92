// SPDX-License-Identifier: MIT
export { Loop, type LoopHandle, type LoopOptions } from "../loop/index.js";
export {
  type InterfaceAddress,
  type Neighbour,
  parseAddress,
  parsePrefix,
  type Route,
  type RouteSpec,
} from "./address.js";
export { NETLINK_GENERIC, NETLINK_NETFILTER, NETLINK_ROUTE, XDP_FLAGS } from "./constants.js";
export { EchoClient, type EchoReply, type EchoSocket } from "./echo.js";
export { type Detour, DetourNat } from "./detour.js";
export { DetourTable, type DetourTableOptions, DYNAMIC_PORTS } from "./detour-table.js";
export { EthtoolSocket, XDP_FEATURES } from "./ethtool.js";
export { DETOUR, ECHO } from "./families.js";
export {
  type GenericAttributeType,
  type GenericCommand,
  type GenericFamily,
  type GenericGroup,
  type GenericMessage,
  GenericSocket,
  readFamilyName,
} from "./generic.js";
export { FamilyCodec } from "./generic-codec.js";
export { FamilyFollower } from "./family-follower.js";
export { GenericMonitor, type GenericMonitorHandler } from "./generic-monitor.js";
export { genericAttribute } from "./generic-value.js";
export type { BridgeSettings, Link, LinkSettings, LinkXdp, VethEnd, VethPeer, XdpAttachMode } from "./link.js";
export { hardwareBytes } from "./link.js";
export { type LinkHandler, LinkMonitor, monitorLinks } from "./monitor.js";
export {
  type MptcpAddress,
  type MptcpEndpoint,
  type MptcpEndpointSpec,
  type MptcpFlag,
  type MptcpLimits,
  MptcpSocket,
} from "./mptcp.js";
export { listeningPorts, type MptcpConnection, type MptcpSubflow, mptcpConnections } from "./mptcp-connections.js";
export {
  decodeMptcpEvent,
  type MptcpEvent,
  type MptcpEventName,
  type MptcpHandler,
  monitorMptcp,
} from "./mptcp-event.js";
export {
  connectMptcp,
  isMptcp,
  listenMptcp,
  type MptcpConnectOptions,
  type MptcpListenOptions,
  type MptcpProtocol,
  type MptcpServer,
  type MptcpStream,
} from "./mptcp-stream.js";
export { type DeviceFeatures, deviceFeatures } from "./netdev.js";
export { hasMasquerade, type MasqueradeSpec, setMasquerade } from "./nftables.js";
export {
  type NetemSettings,
  type Qdisc,
  QDISC_ROOT,
  type QdiscPlace,
  qdiscRequests,
  type TbfSettings,
} from "./qdisc.js";
export { openRoute, RouteSocket, requests } from "./route.js";
export type { Part, Request } from "./message.js";
export { NetlinkSocket, type NetlinkSocketOptions } from "./socket.js";
