// SPDX-License-Identifier: MIT
import { createRequire } from "node:module";
import type * as Koffi from "koffi";
import { XdpctlError } from "../errors/index.js";

type KoffiModule = typeof Koffi.default;

let module_: KoffiModule | undefined;

/** koffi itself, loaded at the first foreign call: commands that need none do not pay its 10 ms. */
export function koffi(): KoffiModule {
  module_ ??= createRequire(import.meta.url)("koffi") as KoffiModule;
  return module_;
}

/** An address in this process. koffi's own pointers carry no type; this brand keeps them apart from numbers. */
export type Pointer = bigint & { readonly __pointer: unique symbol };

/** What C may be given for a `void *`: memory that JavaScript owns, an address, or NULL. */
export type PointerArgument = NodeJS.TypedArray | ArrayBuffer | Pointer | null;

/** The address of a buffer's first byte; valid only while the buffer is referenced. */
export function addressOf(buffer: NodeJS.TypedArray | ArrayBuffer): Pointer {
  return koffi().address(buffer) as Pointer;
}

// biome-ignore lint/suspicious/noExplicitAny: foreign signatures are narrowed by each declaration
export type ForeignFunction = (...args: any[]) => any;

/** A shared library whose functions are looked up at their first use. */
export class Library {
  readonly #file: string | null;
  readonly #packageName: string;
  #handle: Koffi.LibraryHandle | undefined;
  readonly #functions = new Map<string, ForeignFunction>();

  constructor(file: string | null, packageName: string) {
    this.#file = file;
    this.#packageName = packageName;
  }

  /** Looks a function up by its C prototype; throws XDPCTL_E_NOT_SUPPORTED where the library lacks it. */
  func(prototype: string): ForeignFunction {
    let found = this.#functions.get(prototype);
    if (found === undefined) {
      try {
        found = this.handle().func(prototype) as ForeignFunction;
      } catch (cause) {
        if (XdpctlError.is(cause)) throw cause;
        throw new XdpctlError("XDPCTL_E_NOT_SUPPORTED", `${this.#file ?? "libc"} has no ${prototype}`, { cause });
      }
      this.#functions.set(prototype, found);
    }
    return found;
  }

  /** Whether the library exports `symbol`. */
  has(symbol: string): boolean {
    try {
      this.handle().symbol(symbol);
      return true;
    } catch {
      return false;
    }
  }

  handle(): Koffi.LibraryHandle {
    if (this.#handle === undefined) {
      try {
        this.#handle = koffi().load(this.#file);
      } catch (cause) {
        throw new XdpctlError("XDPCTL_E_LIBRARY", `the library ${this.#file ?? "libc"} can't be loaded`, {
          remedy: `install the Debian package ${this.#packageName}`,
          cause,
        });
      }
    }
    return this.#handle;
  }
}

/** The C library. */
export const libc = new Library("libc.so.6", "libc6");

/** A function that binds its prototype at the first call and is one indirection after. */
export function lazy<F extends ForeignFunction>(library: Library, prototype: string): F {
  let bound: ForeignFunction | undefined;
  return ((...args: unknown[]) => {
    bound ??= library.func(prototype);
    return bound(...args) as unknown;
  }) as F;
}
