# Pure Python work: the n-body problem, a fixed number of steps; prints the energy so that results can be compared.
def energy(bodies):
    e = 0.0
    for i, (x, y, z, vx, vy, vz, m) in enumerate(bodies):
        e += 0.5 * m * (vx * vx + vy * vy + vz * vz)
        for x2, y2, z2, _, _, _, m2 in bodies[i + 1:]:
            e -= m * m2 / ((x - x2) ** 2 + (y - y2) ** 2 + (z - z2) ** 2) ** 0.5
    return e


def step(bodies, dt):
    for i, a in enumerate(bodies):
        for b in bodies[i + 1:]:
            dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
            mag = dt / (dx * dx + dy * dy + dz * dz) ** 1.5
            for k, d in ((3, dx), (4, dy), (5, dz)):
                a[k] -= d * b[6] * mag
                b[k] += d * a[6] * mag
    for a in bodies:
        for k in range(3):
            a[k] += dt * a[k + 3]


bodies = [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.5], [4.8, -1.2, -0.1, 0.6, 2.8, 0.0, 0.04], [8.3, 4.1, -0.4, -1.0, 1.8, 0.0, 0.01],
          [12.9, -15.1, -0.2, 1.1, 0.9, 0.0, 0.002], [15.4, -25.9, 0.2, 1.0, 0.6, 0.0, 0.002]]
for _ in range(120000):
    step(bodies, 0.01)
print("%.9f" % energy(bodies))
