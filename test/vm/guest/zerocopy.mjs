// SPDX-License-Identifier: MIT
// Runs in a guest as root: asks for zero copy on eth0, a virtio NIC, and where it is given asks the gateway for its address
// over it; then the same with TX metadata. Prints what the kernel answered as one JSON object.
import { spawnSync } from "node:child_process";

const { Umem, XskSocket } = await import(new URL("../../../dist/xsk.js", import.meta.url).href);
const run = (...argv) => spawnSync(argv[0], argv.slice(1), { encoding: "utf8" });
const name = /^\d+: (e[^:@]+)/m.exec(run("ip", "-o", "link").stdout)?.[1] ?? "eth0";
const mac = /link\/ether (\S+)/.exec(run("ip", "link", "show", name).stdout)?.[1] ?? "";
const gateway = /default via (\S+)/.exec(run("ip", "route").stdout)?.[1] ?? "10.0.2.2";
const own = /inet (\d+\.\d+\.\d+\.\d+)/.exec(run("ip", "address", "show", name).stdout)?.[1] ?? "10.0.2.15";

/** An ARP request (RFC 826). */
const request = Uint8Array.from([
  ...Array(6).fill(0xff),
  ...mac.split(":").map((text) => Number.parseInt(text, 16)),
  ...[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
  ...mac.split(":").map((text) => Number.parseInt(text, 16)),
  ...own.split(".").map(Number),
  ...Array(6).fill(0),
  ...gateway.split(".").map(Number),
  ...Array(18).fill(0),
]);

async function attempt(copy, txMetadata = false) {
  const umem = Umem.create({ frameCount: 4096, frameSize: 4096, txMetadata });
  let times = 0;
  try {
    const nic = XskSocket.open(umem, name, {
      copy,
      mode: "native",
      ...(umem.metadata === undefined ? {} : { onTimestamp: () => times++ }),
    });
    const answers = [];
    const timer = setInterval(() => {
      nic.produce(1, (frame) => {
        frame.replace(request);
        if (txMetadata) frame.requestTimestamp();
        frame.send();
      });
    }, 200);
    const end = setTimeout(() => nic.stop(), 8000);
    await nic.serve((frame) => {
      const { bytes, start } = frame;
      if (bytes[start + 12] !== 8 || bytes[start + 13] !== 6 || bytes[start + 21] !== 2) return;
      answers.push([...bytes.subarray(start + 28, start + 32)].join("."));
      if (answers.length === 3) nic.stop();
    });
    clearInterval(timer);
    clearTimeout(end);
    const { copy: got, mode, statistics } = nic;
    nic.close();
    return { copy: got, mode, answers, statistics, freed: umem.free, timestamps: times > 0 };
  } catch (error) {
    return { error: { code: error.code, message: error.message, errno: error.errno, kernel: error.kernel } };
  } finally {
    umem.close();
  }
}

const zerocopy = await attempt("zerocopy");
const auto = await attempt("auto");
const metadata = await attempt("zerocopy", true);
const autoMetadata = await attempt("auto", true);
const log = run("dmesg").stdout;
process.stdout.write(JSON.stringify({ name, gateway, zerocopy, auto, metadata, autoMetadata, log }));
process.exit(0);
