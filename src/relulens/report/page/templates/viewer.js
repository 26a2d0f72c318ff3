// Pictures of planes cut into cells: every cell is filled into a buffer of cell numbers,
// so that a palette is a look-up and what lies under the pointer is exact.
(() => {
  const TYPES = { f4: Float32Array, u4: Uint32Array, i4: Int32Array, u1: Uint8Array, i1: Int8Array };

  const unpack = async (text) => {
    const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const bytes = await new Response(stream).arrayBuffer();
    const length = new DataView(bytes).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
    for (const [name, [type, offset, count]] of Object.entries(head.arrays)) {
      head[name] = new TYPES[type](bytes, Number(offset), count);
    }
    return head;
  };

  const starts = (counts) => {
    const first = new Uint32Array(counts.length + 1);
    for (let i = 0; i < counts.length; i++) first[i + 1] = first[i] + counts[i];
    return first;
  };

  const number = (v) => (Number.isInteger(v) ? v.toLocaleString("en") : v.toPrecision(4));

  const open = async (box) => {
    const began = performance.now();
    const data = await unpack(box.querySelector("script").textContent);
    const canvas = box.querySelector("canvas");
    const context = canvas.getContext("2d");
    const first = starts(data.sizes);
    const cells = data.sizes.length;
    const palettes = data.palettes.map((p) => ({
      ...p,
      colours: Uint32Array.from(p.colours, (c) => parseInt(c.slice(5, 7) + c.slice(3, 5) + c.slice(1, 3), 16) | 0xff000000),
      levels: data[p.levels],
    }));
    const view = { x: 0.5, y: 0.5, scale: 1 };
    let ids, pixels, image, width, height, unit, chosen = 0, borders = true, frame = 0, seen = -1;
    const X = new Float32Array(data.vertices.length / 2), Y = new Float32Array(X.length);
    let lefts, rights;

    const size = () => {
      const ratio = window.devicePixelRatio || 1;
      width = Math.max(1, Math.round(canvas.clientWidth * ratio));
      height = Math.max(1, Math.round(canvas.clientHeight * ratio));
      canvas.width = width; canvas.height = height;
      unit = Math.min(width / data.aspect, height) * 0.98;
      ids = new Uint32Array(width * height);
      image = new ImageData(width, height);
      pixels = new Uint32Array(image.data.buffer);
      lefts = new Float32Array(height); rights = new Float32Array(height);
    };
    // the domain is [0, aspect] x [0, 1], upwards
    const across = (x) => (x - view.x * data.aspect) * unit * view.scale + width / 2;
    const down = (y) => (view.y - y) * unit * view.scale + height / 2;

    const fill = () => {
      ids.fill(0);
      const v = data.vertices;
      for (let i = 0, j = 0; i < X.length; i++) { X[i] = across(v[j++]); Y[i] = down(v[j++]); }
      const corner = data.corners;
      for (let c = 0; c < cells; c++) {
        const a = first[c], b = first[c + 1];
        let top = Infinity, bottom = -Infinity;
        for (let k = a; k < b; k++) { const y = Y[corner[k]]; if (y < top) top = y; if (y > bottom) bottom = y; }
        const r0 = Math.max(0, Math.ceil(top - 0.5)), r1 = Math.min(height, Math.ceil(bottom - 0.5));
        if (r0 >= r1) continue;
        for (let r = r0; r < r1; r++) { lefts[r] = Infinity; rights[r] = -Infinity; }
        for (let k = a; k < b; k++) {
          let p = corner[k], q = corner[k + 1 < b ? k + 1 : a];
          if (Y[p] > Y[q]) [p, q] = [q, p];
          const low = Math.max(r0, Math.ceil(Y[p] - 0.5)), high = Math.min(r1, Math.ceil(Y[q] - 0.5));
          if (low >= high) continue;
          const step = (X[q] - X[p]) / (Y[q] - Y[p]);
          let x = X[p] + (low + 0.5 - Y[p]) * step;
          for (let r = low; r < high; r++, x += step) { if (x < lefts[r]) lefts[r] = x; if (x > rights[r]) rights[r] = x; }
        }
        for (let r = r0; r < r1; r++) {
          const from = Math.max(0, Math.ceil(lefts[r] - 0.5)), to = Math.min(width, Math.ceil(rights[r] - 0.5));
          if (from < to) ids.fill(c + 1, r * width + from, r * width + to);
        }
      }
    };

    const paint = () => {
      const { colours, levels } = palettes[chosen];
      const edged = borders;
      for (let i = 0, y = 0; y < height; y++) {
        for (let x = 0; x < width; x++, i++) {
          const id = ids[i];
          if (id === 0) { pixels[i] = 0; continue; }
          const c = colours[levels[id - 1]];
          const edge = edged && ((x > 0 && ids[i - 1] !== id) || (y > 0 && ids[i - width] !== id));
          pixels[i] = edge ? ((c >>> 1) & 0x7f7f7f) + ((c >>> 2) & 0x3f3f3f) | 0xff000000 : c;
        }
      }
      context.putImageData(image, 0, 0);
      overlay();
    };

    const overlay = () => {
      const s = data.segments, ratio = window.devicePixelRatio || 1;
      for (const [colour, thick] of [["#fff", 4], ["#111", 2]]) {
        context.strokeStyle = colour; context.lineWidth = thick * ratio; context.lineCap = "round";
        context.beginPath();
        for (let k = 0; k < s.length; k += 4) {
          context.moveTo(across(s[k]), down(s[k + 1]));
          context.lineTo(across(s[k + 2]), down(s[k + 3]));
        }
        context.stroke();
      }
      context.font = `600 ${13 * ratio}px system-ui, sans-serif`;
      context.textBaseline = "middle";
      for (const mark of data.marks) {
        const x = across(mark.x), y = down(mark.y);
        context.beginPath(); context.arc(x, y, 5 * ratio, 0, 7);
        context.fillStyle = "#fff"; context.fill();
        context.lineWidth = 2 * ratio; context.strokeStyle = "#111"; context.stroke();
        const wide = context.measureText(mark.label).width + 9 * ratio;
        const left = x + wide > width - 4 ? x - wide : x + 9 * ratio;
        context.lineWidth = 4 * ratio; context.strokeStyle = "#fff";
        context.strokeText(mark.label, left, y); context.fillStyle = "#111"; context.fillText(mark.label, left, y);
      }
    };

    const draw = () => {
      frame = 0;
      const t = performance.now();
      fill(); paint();
      box.dataset.redraw = (performance.now() - t).toFixed(1);
      box.dataset.draws = String(Number(box.dataset.draws || 0) + 1);
    };
    const later = () => { if (!frame) frame = requestAnimationFrame(draw); };

    const codes = (cell) => {
      const code = Uint8Array.from(data.reference), set = new Uint8Array(code.length);
      for (let c = cell; c >= 0; c = data.parents[c]) {
        for (let k = flipStart[c]; k < flipStart[c + 1]; k++) {
          const u = data.flips[k];
          if (!set[u]) { set[u] = 1; code[u] = data.flipCodes[k]; }
        }
      }
      return code;
    };
    const flipStart = data.flipCounts ? starts(data.flipCounts) : null;
    const layerLines = (cell) => {
      if (!flipStart) return [];
      const code = codes(cell);
      let at = 0;
      return data.layers.map(([name, count]) => {
        const part = code.subarray(at, at += count);
        const most = part.reduce((a, b) => Math.max(a, b), 0);
        const on = part.reduce((a, b) => a + (b > 0), 0);
        const text = most > 1 ? [...part].slice(0, 64).join(" ") : [...part].slice(0, 128).join("");
        return [name, `${on} of ${count} on: ${text}${count > (most > 1 ? 64 : 128) ? "…" : ""}`];
      });
    };

    const panel = box.querySelector(".cell-facts"), small = box.querySelector("canvas.cell-template");
    const template = (cell) => {
      if (!small) return;
      const place = data.templateCells.indexOf(cell);
      small.hidden = place < 0;
      small.nextElementSibling.hidden = place >= 0 || cell < 0;
      if (place < 0) return;
      const [h, w] = data.templateShape, at = place * h * w, ink = small.getContext("2d"), out = new ImageData(w, h);
      for (let k = 0; k < h * w; k++) {
        const v = data.templates[at + k];
        out.data.set(v > 0 ? [200, 68, 40, 2 * v] : [46, 108, 190, -2 * v], 4 * k);
      }
      small.width = w; small.height = h; ink.putImageData(out, 0, 0);
    };
    const tell = (cell) => {
      if (cell === seen) return;
      seen = cell; box.dataset.cell = String(cell);
      const rows = cell < 0 ? [] : [["cell", `${number(cell)} of ${number(cells)}`],
        ...data.facts.map(([name, key, words]) => [name, words ? words[data[key][cell]] : number(data[key][cell])]), ...layerLines(cell)];
      panel.replaceChildren(...rows.flatMap(([name, text]) => {
        const dt = document.createElement("dt"), dd = document.createElement("dd");
        dt.textContent = name; dd.textContent = text;
        return [dt, dd];
      }));
      template(cell);
    };
    const at = (x, y) => {
      const ratio = width / canvas.clientWidth;
      const c = Math.floor(x * ratio), r = Math.floor(y * ratio);
      return c < 0 || r < 0 || c >= width || r >= height ? -1 : ids[r * width + c] - 1;
    };
    const zoom = (factor, x, y) => {
      const ratio = width / canvas.clientWidth, next = Math.min(1e6, Math.max(1, view.scale * factor));
      const dx = (x * ratio - width / 2) / unit, dy = (y * ratio - height / 2) / unit;
      view.x += (dx / view.scale - dx / next) / data.aspect;
      view.y -= dy / view.scale - dy / next;
      view.scale = next; later();
    };
    const pan = (dx, dy) => {
      const ratio = width / canvas.clientWidth;
      view.x -= dx * ratio / unit / view.scale / data.aspect; view.y += dy * ratio / unit / view.scale; later();
    };

    const select = box.querySelector("select"), legend = box.querySelector(".keys");
    const choose = (k) => {
      chosen = (k + palettes.length) % palettes.length;
      select.selectedIndex = chosen;
      legend.replaceChildren(...palettes[chosen].legend.map(([colour, word]) => {
        const li = document.createElement("li"), i = document.createElement("i");
        i.style.background = colour; li.append(i, word);
        return li;
      }));
    };
    const repaint = () => { const t = performance.now(); paint(); box.dataset.repaint = (performance.now() - t).toFixed(1); };
    select.addEventListener("change", () => { choose(select.selectedIndex); repaint(); });

    const pointers = new Map();
    canvas.addEventListener("pointerdown", (e) => { pointers.set(e.pointerId, e); canvas.setPointerCapture(e.pointerId); });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (e) => pointers.delete(e.pointerId));
    canvas.addEventListener("pointermove", (e) => {
      const before = pointers.get(e.pointerId);
      if (!before) { tell(at(e.offsetX, e.offsetY)); return; }
      const other = [...pointers.values()].find((p) => p.pointerId !== e.pointerId);
      if (other) {
        const far = (p) => Math.hypot(p.offsetX - other.offsetX, p.offsetY - other.offsetY);
        zoom(far(e) / Math.max(1, far(before)), other.offsetX, other.offsetY);
      } else pan(e.offsetX - before.offsetX, e.offsetY - before.offsetY);
      pointers.set(e.pointerId, e);
    });
    canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom(Math.exp(-e.deltaY / 400), e.offsetX, e.offsetY); }, { passive: false });
    canvas.addEventListener("dblclick", (e) => zoom(e.shiftKey ? 0.5 : 2, e.offsetX, e.offsetY));
    canvas.addEventListener("keydown", (e) => {
      const w = canvas.clientWidth / 2, h = canvas.clientHeight / 2, step = 40;
      const acts = {
        ArrowLeft: () => pan(step, 0), ArrowRight: () => pan(-step, 0), ArrowUp: () => pan(0, step), ArrowDown: () => pan(0, -step),
        "+": () => zoom(1.5, w, h), "=": () => zoom(1.5, w, h), "-": () => zoom(1 / 1.5, w, h),
        0: () => { Object.assign(view, { x: 0.5, y: 0.5, scale: 1 }); later(); },
        p: () => { choose(chosen + 1); repaint(); }, P: () => { choose(chosen - 1); repaint(); },
        b: () => { borders = !borders; repaint(); }, Enter: () => { seen = -2; tell(at(w, h)); },
      };
      if (e.ctrlKey || e.metaKey || e.altKey || !acts[e.key]) return;
      e.preventDefault(); acts[e.key]();
    });
    new ResizeObserver(() => { size(); later(); }).observe(canvas);

    for (const p of palettes) select.append(new Option(p.name));
    choose(0); size(); draw();
    box.dataset.ready = (performance.now() - began).toFixed(1);
    const shown = data.marks[0] || { x: data.aspect / 2, y: 0.5 };
    tell(at(across(shown.x) * canvas.clientWidth / width, down(shown.y) * canvas.clientWidth / width));
  };

  for (const box of document.querySelectorAll(".cells")) {
    open(box).catch((error) => { box.querySelector(".cell-failed").hidden = false; throw error; });
  }
})();
