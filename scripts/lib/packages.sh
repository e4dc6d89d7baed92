# SPDX-License-Identifier: MIT
# Debian packages as the files of a system, without installing anything: sourced by scripts that make images. They define
# `fail`, and set `cache`, a folder of theirs that is kept, and `work`, one that is not.

# apt, as if nothing were installed: what it would install is what the packages need.
apt() {
  local options=(-qq -y --no-install-recommends -o "Dir::State::status=$work/status" -o Debug::NoLocking=1)
  if ! timeout 300 apt-get "${options[@]}" -o APT::Sandbox::User=root "$@" </dev/null >"$work/log" 2>&1; then
    sed 's/^/  /' "$work/log" >&2
    fail 'apt-get can not fetch the packages; as root, `apt-get update` reads the lists anew'
  fi
}

# The names of the files of packages and of what they need go into $work/files.
list_files() {
  : >"$work/status"
  mkdir -p "$work/none/partial"
  # What is in the cache already would not be listed.
  apt -o "Dir::Cache::archives=$work/none" --print-uris install "$@"
  awk '/^\047/ { print $2 }' "$work/log" | LC_ALL=C sort >"$work/files"
}

# Fetches packages and what they need into the cache.
download() {
  list_files "$@"
  mkdir -p "$cache/packages/partial"
  apt -o "Dir::Cache::archives=$cache/packages" --download-only install "$@"
}

# Unpacks files of the cache into $work/root, with what their install scripts would have made.
unpack() {
  local root=$work/root file
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{etc,root,run,tmp,proc,sys,dev,var}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
  for file in "$@"; do
    dpkg-deb --fsys-tarfile "$cache/packages/$file" | tar -x -C "$root" --keep-directory-symlink --no-same-owner
  done
  rm -rf "$root"/usr/share/{bug,doc,doc-base,info,lintian,locale,man,zsh,bash-completion} "$root"/{boot,home,media,mnt,opt,srv}
  chmod 1777 "$root/tmp"
  chmod 700 "$root/root"
  # Install scripts would make these.
  printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534::/nonexistent:/bin/false' \
    'tcpdump:x:101:101::/nonexistent:/bin/false' >"$root/etc/passwd"
  printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' 'tcpdump:x:101:' >"$root/etc/group"
  [[ -e $root/bin/nc.openbsd ]] && ln -sf nc.openbsd "$root/bin/nc"
  local command
  for command in $("$root/bin/busybox" --list); do
    [[ -e $root/bin/$command || -L $root/bin/$command || -e $root/sbin/$command ]] || ln -s busybox "$root/bin/$command"
  done
  mkdir -p "$root/usr/share/xdpctl"
  printf '%s\n' "$@" >"$root/usr/share/xdpctl/packages"
}
