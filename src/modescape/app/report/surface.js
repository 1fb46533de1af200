// Draws every scene of the page as a surface to turn. Texts of a run reach the page as text nodes alone: Plotly, which
// reads markup of its own in what it draws, is given numbers and words that stand in this file.
(() => {
  "use strict";

  const CONFIG = { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: false };
  const PIN = "#2a93d5";
  const ANGLE = Math.PI / 12;
  const TURNS = {
    "Turn left": (view) => ({ ...view, around: view.around - ANGLE }),
    "Turn right": (view) => ({ ...view, around: view.around + ANGLE }),
    "Tilt up": (view) => ({ ...view, above: Math.min(view.above + ANGLE, 1.5) }),
    "Tilt down": (view) => ({ ...view, above: Math.max(view.above - ANGLE, -1.5) }),
    "Nearer": (view) => ({ ...view, far: view.far / 1.2 }),
    "Farther": (view) => ({ ...view, far: view.far * 1.2 }),
    "Reset": () => START,
  };
  const START = { around: -1.0, above: 0.55, far: 2.1 };

  function show(holder) {
    if (!document.createElement("canvas").getContext("webgl")) return;
    const scene = JSON.parse(holder.querySelector("script[type='application/json']").textContent);
    const stage = holder.querySelector(".stage");
    const [controls, plot, key] = [made("div", "controls"), made("div", "plot"), made("p", "key")];
    plot.setAttribute("role", "img");
    const state = { section: scene.first, height: scene.height, colour: scene.colour, view: START };

    const choosers = Object.fromEntries(["section", "height", "colour"].map((part) => {
      const chooser = made("select", "");
      const label = made("label", "", part === "section" ? "Cross-section" : part === "height" ? "Height" : "Colour");
      label.append(chooser);
      controls.append(label);
      chooser.addEventListener("change", () => {
        state[part] = part === "section" ? Number(chooser.value) : chooser.value;
        offer();
        draw();
      });
      return [part, chooser];
    }));
    const turns = made("div", "turns");
    for (const [name, turn] of Object.entries(TURNS)) {
      const button = made("button", "", name);
      button.type = "button";
      button.addEventListener("click", () => { state.view = turn(state.view); draw(); });
      turns.append(button);
    }
    stage.append(controls, plot, turns, key);

    function offer() {
      const names = Object.keys(scene.sections[state.section].values);
      // Where another cross-section lacks this reference, the same quantity with another one comes nearest.
      const nearest = (wanted) => names.find((name) => name === wanted)
        ?? names.find((name) => name.split("/")[0] === wanted.split("/")[0]) ?? names[0];
      state.height = nearest(state.height);
      state.colour = nearest(state.colour);
      const pairs = names.map((name) => [name, scene.quantities[name].title]);
      fill(choosers.section, scene.sections.map((one, place) => [String(place), one.name]), String(state.section));
      fill(choosers.height, pairs, state.height);
      fill(choosers.colour, pairs, state.colour);
    }

    function draw() {
      const shown = scene.sections[state.section];
      const [up, shade] = [scene.quantities[state.height], scene.quantities[state.colour]];
      const axes = shown.a
        ? `a: ${shown.axes[0]}; b: ${shown.axes[1]}; axis x: ${shown.titles[0]}; axis y: ${shown.titles[1]}`
        : `Axis x (a): ${shown.axes[0]}; axis y (b): ${shown.axes[1]}`;
      key.textContent = `${axes}. Height: ${withUnit(up)}. Colour: ${withUnit(shade)}.`;
      plot.setAttribute("aria-label", `${shown.name}. ${key.textContent}`);
      const traces = tracesOf(shown, state, up, shade);
      return Plotly.react(plot, traces, layoutOf(shown, up, state.view), CONFIG);
    }

    offer();
    stage.hidden = false;
    holder.classList.add("live");
    const giveUp = (error) => {
      holder.classList.remove("live");
      stage.hidden = true;
      console.warn(`the picture stays: ${error}`);
    };
    try {
      draw().then(() => plot.on("plotly_relayout", (change) => {
        if (change["scene.camera"]) state.view = viewOf(change["scene.camera"].eye);
      })).catch(giveUp);
    } catch (error) {
      giveUp(error);
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  function tracesOf(shown, state, up, shade) {
    const [z, colour] = [drawn(shown.values[state.height], up), drawn(shown.values[state.colour], shade)];
    // A grid that is drawn as it is has no coordinates of its own.
    const [first, second] = [shown.a ?? shown.x, shown.b ?? shown.y];
    const texts = first.map((row, i) => row.map((a, j) => [
      `a ${told(a)}, b ${told(second[i][j])}`,
      `height ${said(shown.values[state.height][i][j], up)}`,
      `colour ${said(shown.values[state.colour][i][j], shade)}`,
    ].join("<br>")));
    const ink = inkOf();
    const bar = {
      len: 0.7, thickness: 14, outlinewidth: 0, tickvals: shade.ticks.map(([at]) => at),
      ticktext: shade.ticks.map(([, text]) => text), tickfont: { color: ink }, x: 1.0,
    };
    const surface = {
      type: "surface", x: shown.x, y: shown.y, z, surfacecolor: colour, text: texts, hoverinfo: "text",
      colorscale: shade.colours, cmin: shade.low, cmax: shade.high, colorbar: bar, connectgaps: false,
      lighting: { ambient: 0.85, diffuse: 0.35, specular: 0.05, roughness: 0.9 },
    };
    const heights = z.flat().filter((value) => value !== null);
    if (!heights.length) return [surface];
    const [low, high] = extremes(heights);
    const top = high + 0.12 * ((high - low) || 1);
    // A blue that stands out from every colour of the surfaces, on a light page and on a dark one.
    const pins = shown.solutions.map((one) => ({
      type: "scatter3d", mode: "lines+text", x: [one.x, one.x], y: [one.y, one.y], z: [low, top],
      text: ["", String(Number(one.member))], textfont: { color: PIN, size: 15 }, line: { color: PIN, width: 4 },
      hoverinfo: "skip", showlegend: false,
    }));
    return [surface, ...pins];
  }

  function layoutOf(shown, up, view) {
    const [across, upwards] = [spanOf(shown.x), spanOf(shown.y)];
    const most = Math.max(across, upwards);
    const ink = inkOf();
    const axis = (title, more) => ({
      title: { text: title }, color: ink, gridcolor: "#9aa4ae", zeroline: false,
      showbackground: false, ...more,
    });
    const ticks = { tickvals: up.ticks.map(([at]) => at), ticktext: up.ticks.map(([, text]) => text) };
    return {
      margin: { l: 0, r: 0, t: 0, b: 0 }, autosize: true, paper_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink, family: getComputedStyle(document.body).fontFamily },
      scene: {
        aspectmode: "manual", aspectratio: { x: across / most, y: upwards / most, z: 0.6 },
        camera: { eye: eyeOf(view), center: { x: 0, y: 0, z: -0.12 } }, xaxis: axis("x"), yaxis: axis("y"), zaxis: axis("height", ticks),
      },
    };
  }

  const eyeOf = ({ around, above, far }) => ({
    x: far * Math.cos(above) * Math.cos(around), y: far * Math.cos(above) * Math.sin(around), z: far * Math.sin(above),
  });
  const viewOf = ({ x, y, z }) => {
    const far = Math.hypot(x, y, z);
    return { around: Math.atan2(y, x), above: Math.asin(z / far), far };
  };
  // What is drawn is no lower than the scale: agreement below 0, and losses too small for a logarithm.
  const drawn = (values, kind) => values.map((row) => row.map((value) => value === null ? null
    : Math.max(kind.logarithmic ? (value > 0 ? Math.log10(value) : kind.low) : value, kind.low)));
  // By a loop: a large grid has more numbers than a call may have arguments.
  const extremes = (values) => values.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity]);
  const spanOf = (values) => {
    const flat = values.flat().filter((value) => value !== null);
    const [low, high] = extremes(flat);
    return (high - low) || 1;
  };
  const told = (value) => value === null ? "?" : String(Number(value.toPrecision(3)));
  const said = (value, kind) => value === null ? "not finite"
    : kind.percent ? `${Number((100 * value).toPrecision(3))}%` : told(value);
  const withUnit = (kind) => kind.unit ? `${kind.title} (${kind.unit})` : kind.title;
  const inkOf = () => getComputedStyle(document.body).color;

  function made(tag, name, text = "") {
    const element = document.createElement(tag);
    if (name) element.className = name;
    element.textContent = text;
    return element;
  }

  function fill(chooser, pairs, chosen) {
    chooser.replaceChildren(...pairs.map(([value, text]) => {
      const option = made("option", "", text);
      option.value = value;
      option.selected = value === chosen;
      return option;
    }));
  }

  document.querySelectorAll(".surface").forEach(show);
})();
